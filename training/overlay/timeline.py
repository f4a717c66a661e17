"""What is drawn over a video at each of its seconds, whoever made it: heat, the part it covers, boxes, marks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manifests.annotations import Box

SILENT, UNSURE = "silent: nothing is heard", "low confidence: no higher than without sound"


@dataclass(frozen=True)
class Timeline:
    """Of N moments at `times` (seconds, ascending), what holds from each to the next.

    heat (N, h, w): 0 is drawn transparent, 1 brightest, and between moments it moves linearly. parts (N, 4): what of
    the frame it covers, fractions. boxes: (n, 5) each, fractions and a score. warnings: a sentence or nothing.
    """

    times: np.ndarray
    heat: np.ndarray
    parts: np.ndarray
    boxes: Sequence[np.ndarray]
    warnings: Sequence[str]

    def before(self, seconds: float) -> int:
        """The number of the last moment that began by then, else the first."""
        return max(int(np.searchsorted(self.times, seconds, side="right")) - 1, 0)

    def at(self, seconds: float) -> np.ndarray:
        """The heat (h, w) between the two moments around `seconds`, linearly; the ends hold."""
        before = self.before(seconds)
        after = min(before + 1, len(self.times) - 1)
        step = float(self.times[after] - self.times[before])
        share = np.float32(min(max((seconds - self.times[before]) / step, 0.0), 1.0) if step else 0.0)
        return (1 - share) * self.heat[before] + share * self.heat[after]

    def part(self, seconds: float) -> Box:
        """What the heat covers of the frame then."""
        left, top, right, bottom = self.parts[self.before(seconds)].tolist()
        return left, top, right, bottom
