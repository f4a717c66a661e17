"""AVSBench-semantic's evaluator of 71 classes, and the textbook's beside it."""

from training.evaluation.tasks.semantic import SemanticProtocol

PROTOCOLS = (
    SemanticProtocol("avss", "AVSBench f7414af and AVSegFormer 7083cb6 calc_color_miou_fscore; textbook beside it"),
)
