"""AVSBench's evaluator of pixel masks."""

from training.evaluation.tasks.segmentation import MaskProtocol

PROTOCOLS = (
    MaskProtocol(
        "avsbench", "AVSBench f7414af utility.py mask_iou, Eval_Fmeasure; ACL-SSL 57f4a6c for f_data_set",
        align_corners=False, rule="fixed", comparator=">",
    ),
)  # fmt: skip
