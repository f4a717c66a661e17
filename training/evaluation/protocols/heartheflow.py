"""HearTheFlow's evaluator: LVS's top half with a strict threshold, after a cubic enlarging."""

from dataclasses import replace

from training.evaluation.protocols.ezvsl import EZVSL

PROTOCOLS = (
    replace(
        EZVSL, name="heartheflow", interpolation="bicubic", align_corners=False, comparator=">",
        source="HearTheFlow 60ed54d, its test as read (not run): OpenCV's cubic enlarging, which is torch's bicubic",
    ),
)  # fmt: skip
