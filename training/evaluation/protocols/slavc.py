"""SLAVC's evaluator: cosines scaled by a fixed range, and negatives told by confidence."""

from dataclasses import replace

from training.evaluation.protocols.ezvsl import EZVSL

SLAVC = replace(
    EZVSL, name="slavc_relative", interpolation="bicubic", scaling="fixed",
    source="SLAVC 05b429c test.py validate --relative_prediction",
)  # fmt: skip
PROTOCOLS = (
    SLAVC,
    replace(SLAVC, name="slavc_train", align_corners=False, source="SLAVC 05b429c train.py validate"),
    replace(
        SLAVC, name="slavc_absolute", stretch=False, rule="fixed",
        source="SLAVC 05b429c test.py validate without --relative_prediction (both shipped scripts)",
    ),
)  # fmt: skip
