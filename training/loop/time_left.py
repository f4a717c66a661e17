"""When a run will end, told from its logged steps: while it trains for TensorBoard, and afterwards from its log."""

from collections import deque

RECENT = 200  # logged steps that the time left is told from


class TimeLeft:
    """The training time that is left of `total` steps; it does not count what validation and saving take."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._logged: deque[tuple[int, float]] = deque(maxlen=RECENT)

    def note(self, step: int, seconds: float) -> None:
        """A step was logged, after so many seconds of training since the run began."""
        self._logged.append((step, seconds))

    @property
    def seconds_a_step(self) -> float | None:
        """Of the recent steps; None before two are known."""
        if not self._logged:
            return None
        (first, began), (last, ended) = self._logged[0], self._logged[-1]
        return (ended - began) / (last - first) if last > first else None

    @property
    def seconds(self) -> float | None:
        """Until the last step; None before it can be known."""
        rate = self.seconds_a_step
        return None if rate is None else rate * (self.total - self._logged[-1][0])
