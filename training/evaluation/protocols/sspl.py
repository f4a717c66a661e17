"""SSPL's evaluator: a fixed threshold on the stretched map."""

from dataclasses import replace

from training.evaluation.protocols.ezvsl import EZVSL

PROTOCOLS = (
    replace(EZVSL, name="sspl", align_corners=False, rule="fixed", source="SSPL d1af4c7 test.py eval_cal_ciou"),
)
