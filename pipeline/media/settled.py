"""Where the frames of a sound belong whose stated times jitter: one rule for every decoder and every moment.

Most containers round the time of a frame, and recorders state times that are some frames' while 10 or 20 ms off. Sound
laid down at such times would have a click at every frame. So frames lie end to end, where most of them say they lie;
they part where what most of them say has changed: there is a hole, or sound was stated twice. A frame is judged by the
frames around it alone, so that the same sound comes out wherever decoding began.
"""

from collections.abc import Iterator, Sequence

import numpy as np

AROUND = 0.25  # seconds on either side of a frame by whose stated times it is judged; jitter was seen for up to 0.12
TOLERANCE = 1.5e-3  # seconds; what is stated otherwise is another place. Clocks of milliseconds round by up to one
STEPS = 1.5  # steps of the container's clock, where these are longer


def settled(stated: Sequence[float | None], lengths: Sequence[float], step: float) -> dict[int, float]:
    """By number, the frames that do not lie right behind the one before, and the second at which each begins.

    stated: when the frames begin, None where a frame follows the one before; of the first it is known. lengths: in
    seconds. step: of the clock that the times are of.
    """
    counted = np.concatenate([[0.0], np.cumsum(lengths)])
    late = np.array(list(_lateness(stated, counted)))
    tolerance = max(TOLERANCE, STEPS * step)
    parts = list(_parts(late, counted, tolerance))
    ends, weights = [*(begin for begin, _ in parts[1:]), len(late)], np.asarray(lengths)
    return {
        begin: float(counted[begin]) + _mean_near(late[begin:end], weights[begin:end], usual, tolerance)
        for (begin, usual), end in zip(parts, ends, strict=True)
    }


def _lateness(stated: Sequence[float | None], counted: np.ndarray) -> Iterator[float]:
    """By how much each frame is said to begin later than if all lay end to end from 0 on."""
    late = 0.0
    for time, begin in zip(stated, counted.tolist(), strict=False):  # there is one end more
        late = late if time is None else time - begin
        yield late


def _parts(late: np.ndarray, counted: np.ndarray, tolerance: float) -> Iterator[tuple[int, float]]:
    """The frames at which what most around say has changed by more than the tolerance, and what they say there."""
    usual = _around(late, counted, 0)
    yield 0, usual
    if np.ptp(late) <= tolerance:
        return
    for number in range(1, len(late)):
        here = _around(late, counted, number)
        if abs(here - usual) > tolerance:
            usual = here
            yield number, usual


def _around(late: np.ndarray, counted: np.ndarray, number: int) -> float:
    """What most of the sound around the middle of a frame says: every frame counts by how long it lies there."""
    middle = (counted[number] + counted[number + 1]) / 2
    early, later = middle - AROUND, middle + AROUND
    first = max(0, int(np.searchsorted(counted, early, "right")) - 1)
    end = min(len(late), int(np.searchsorted(counted, later)))
    begins, ends = counted[first:end], counted[first + 1 : end + 1]
    return _median(late[first:end], np.minimum(ends, later) - np.maximum(begins, early))


def _mean_near(values: np.ndarray, weights: np.ndarray, usual: float, tolerance: float) -> float:
    """What frames say on average, without those that say something else."""
    near = np.abs(values - usual) <= tolerance
    return float(np.average(values[near], weights=weights[near])) if near.any() else usual


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value below and above which half of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
