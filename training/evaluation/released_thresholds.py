"""The thresholds that vssl_eval (e8ebbc9) ships for each model: constants, whose derivation its code does not hold.

`q3` is the one F_LOC and F_AUC are published with: the third quartile of per-clip maxima over negative sounds [recalled
from the paper]. `max10` is 1.1 times `max`, to their rounding; `q3_other` stands commented out beside `q3`. They
belong to maps on the scale of the model: (cosine + 1) / 2 for EZ-VSL, SLAVC and FNAC, the cosine itself for the others.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """The levels of one model; a fifth rule is `fixed`, 0.5 for all."""

    max: float
    max10: float
    q3: float
    q3_other: float
    fixed: float = 0.5


RELEASED = {
    "ezvsl": Thresholds(0.6041, 0.6645, 0.6382, 0.6607),
    "slavc": Thresholds(0.5201, 0.5721, 0.5450, 0.5513),
    "fnac": Thresholds(0.5311, 0.5842, 0.5538, 0.5565),
    "lvs": Thresholds(0.5527, 0.6080, 0.6077, 0.6724),
    "ssltie": Thresholds(0.2641, 0.2906, 0.3338, 0.3825),
    "sslalign": Thresholds(0.2660, 0.2926, 0.3175, 0.3388),
}
