"""How long the rest of some work takes, told from the pace of its latest part, and lengths of time in words."""

import time
from collections import deque
from collections.abc import Callable

LATEST = 60.0  # seconds whose pace counts: the beginning of much work is slower than the rest
MEASURED = 1.0  # seconds, before which a pace says little
FIRST_ALONE = 3.0  # seconds from which on a first unit tells the pace alone; a shorter one may be slow by warming up
OTHERWISE = 0.5  # of a cost that was said: what it must turn out to differ by to be said again
LONG = 60.0  # seconds of work from which on its cost is said at its beginning


class Remaining:
    """Counts `total` units of work, `done` of them from before; `at_once` results are in the making at a time.

    The same work is done `repeats` times, this one included. `expected` are its seconds where they are known before.
    """

    def __init__(
        self,
        total: int,
        done: int = 0,
        at_once: int = 1,
        repeats: int = 1,
        expected: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.done, self._at_once, self._clock = total, done, at_once, clock
        self._repeats, self._expected = repeats, expected
        self.began = clock()
        self._marks = deque([(self.began, done)])
        self._results = 0
        self._warm = at_once > 1
        self._stage = 0
        self._told: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the work began."""
        return self._clock() - self.began

    def begin(self) -> None:
        """Count from now on, where nothing was done so far: what went before was getting ready."""
        if not self._results:
            self._marks = deque([(self._clock(), self.done)])

    def advance(self, amount: int) -> None:
        """Count a result as done now."""
        self.done += amount
        self._results += 1
        now = self._clock()
        if self._results == 1 or now - self._marks[-1][0] >= 1:
            self._marks.append((now, self.done))
        if not self._warm and self._is_second_pace_known(now):
            self._warm = True
            self._marks.popleft()
        while len(self._marks) > 2 and now - self._marks[1][0] >= LATEST:
            self._marks.popleft()

    def _is_second_pace_known(self, now: float) -> bool:
        """Whether the work after the first result tells a pace of its own."""
        at, done = self._marks[1]
        return self.done > done and now - at >= MEASURED

    def seconds(self) -> float | None:
        """Seconds left; None as long as nothing is known of the pace."""
        at, before = self._marks[0]
        gained, took = self.done - before, self._clock() - at
        if gained <= 0 or took < (MEASURED if self._warm else FIRST_ALONE):
            return None
        return (self.total - self.done) * took / (gained * max(1.0, self._at_once / self._results))

    def cost(self) -> str | None:
        """As soon as it is known: how long the whole takes, and all repeats, where that is more than a minute.

        What was expected is said at once, and what a long first unit tells as a bound, since it holds what is done
        once. When the next units tell something else it is said again.
        """
        stage = 2 if self._warm and self._results else 1
        left = self.seconds() if self._results else self._expected
        if self._stage >= stage or left is None:
            return None
        self._stage, before = stage, self._told
        whole = self._told = self.elapsed + left
        if self._repeats * whole <= LONG or (before is not None and abs(whole / before - 1) < OTHERWISE):
            return None
        how = "at most" if stage == 1 and self._results else "about"
        repeats = f"; {self._repeats} of them {how} {in_words(self._repeats * whole)}" if self._repeats > 1 else ""
        return f"takes {how} {in_words(whole)} in all{repeats}"


def in_words(seconds: float) -> str:
    """A length of time as a person says it: 40 s, 3 min 20 s, 2 h 5 min, 3 days 4 h."""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    if whole < 600:
        return _two(whole, 60, "min", 1, "s", 10)
    if whole < 86_400:
        return _two(whole, 3600, "h", 60, "min", 1) if whole >= 3600 else f"{round(whole / 60)} min"
    return _two(whole, 86_400, "days", 3600, "h", 1).replace("1 days", "1 day", 1 if whole < 172_800 else 0)


def _two(seconds: int, large: int, name: str, small: int, smaller: str, step: int) -> str:
    """Two units, the smaller one rounded to `step` of it."""
    units = round(seconds / small / step) * step
    first, rest = divmod(units, large // small)
    return f"{first} {name}" + (f" {rest} {smaller}" if rest else "")
