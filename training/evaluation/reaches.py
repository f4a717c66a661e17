"""Which numbers a field of a protocol may hold. The fields say theirs in `Protocol.reaches`."""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Reach:
    """Which numbers a field may hold: finite ones from `low` to `high`, the latter left out with `below`."""

    low: float = -inf
    high: float = inf
    below: bool = False

    def holds(self, value: float) -> bool:
        return -inf < value < inf and self.low <= value <= self.high and not (self.below and value == self.high)

    def __str__(self) -> str:
        if self.high == inf:
            return "a finite number" if self.low == -inf else f"at least {self.low:,}"
        return f"from {self.low:,} to {'below ' if self.below else ''}{self.high:,}"


ANY, SHARE = Reach(), Reach(0, 1)
COUNT = Reach(1, 1_000_000)  # of frames, clips or clusters: no set has more
