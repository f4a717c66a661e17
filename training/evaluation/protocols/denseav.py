"""DenseAV's evaluator of prompted segmentation."""

from training.evaluation.tasks.prompted import PromptProtocol

PROTOCOLS = (PromptProtocol("denseav", "DenseAV 2221b8c eval_utils.py multi_iou, basic_ap; textbook AP beside it"),)
