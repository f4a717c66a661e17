"""AVGN's evaluator of one map an image: SLAVC's steps, three IoU cuts, and an average precision with swapped arguments.

Its duets cannot be scored: the released code stops at the first one. `noprior_duet` measures them.
"""

from dataclasses import dataclass, fields

from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols.slavc import PROTOCOLS as SLAVC


@dataclass(frozen=True)
class AvgnProtocol(MapProtocol):
    """As SLAVC's; `metrics/average_precision_of_pixels` adds what AVGN prints beside."""


def _as_avgn(slavc: MapProtocol, name: str, source: str) -> AvgnProtocol:
    own = {field.name: getattr(slavc, field.name) for field in fields(slavc)}
    return AvgnProtocol(**own | {"name": name, "source": source})


_RELATIVE, _, _ABSOLUTE = SLAVC
PROTOCOLS = (
    _as_avgn(_RELATIVE, "avgn_relative", "AVGN 5ab8cab test.py validate --relative_prediction"),
    _as_avgn(_ABSOLUTE, "avgn_absolute", "AVGN 5ab8cab test.py validate without --relative_prediction"),
)
