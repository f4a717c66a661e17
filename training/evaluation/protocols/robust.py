"""AVSBench-Robust's evaluator: maps are logits, the false positive rate is the predicted area."""

from training.evaluation.tasks.robust import RobustProtocol

PROTOCOLS = (
    RobustProtocol(
        "avsbench_robust", "AVSBench-Robust 03e925d scripts/s4/test.py: calculate_FPR, mask_iou, Eval_Fmeasure",
        align_corners=False, scaling="none", stretch=False, rule="fixed", level=0.0, comparator=">",
    ),
)  # fmt: skip
