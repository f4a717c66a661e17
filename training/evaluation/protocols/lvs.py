"""LVS's evaluator and SSLalignment's copies of it: maps flipped, stretched and flipped back, a strict threshold."""

from dataclasses import replace

from training.evaluation.protocol import adaptive
from training.evaluation.protocols.ezvsl import EZVSL

LVS = replace(
    EZVSL, name="lvs", align_corners=False, scaling="flipped_minmax", comparator=">", keep_maximum=True,
    source="LVS 8fe8cbb test.py main (SSL-TIE c49e6a9 main.py test is the same)",
)  # fmt: skip
KAIST_LVS = replace(
    LVS, name="kaist_lvs", keep_maximum=False,
    source="SSLalignment e7ae3c5 test.py validate_lvs on VGG-SS, and validate_ssltie",
)  # fmt: skip
KAIST_LVS_ALIGNED = replace(
    KAIST_LVS, name="kaist_lvs_aligned", align_corners=True,
    source="SSLalignment e7ae3c5 test.py validate_lvs on every set but VGG-SS",
)  # fmt: skip
PROTOCOLS = (
    LVS,
    KAIST_LVS,
    KAIST_LVS_ALIGNED,
    adaptive(KAIST_LVS, "adaptive_lvs"),
    adaptive(KAIST_LVS_ALIGNED, "adaptive_lvs_aligned"),
)
