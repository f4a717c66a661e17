"""Where the frames of a sound belong whose stated times jitter: one rule for every decoder and every moment.

Most containers round the time of a frame, and recorders state when a frame reached them, some milliseconds off, or by a
clock that drifts. Sound laid down at such times would have a click at every frame. So frames lie end to end, and part
only where the times make a step that lasts: four fifths of the quarter second before are stated otherwise than four
fifths of the quarter second after. There is a hole, or sound was stated twice. The step is more than the container's
clock rounds by, more than a third of a frame, and more than four fifths of the frames around differ from the next one.

Frames between two such places lie where they say on average, without what a few say. Times that drift make no step:
such sound is right in the middle, and by half of the drift off at its ends. Every place is judged by what is around it
alone: wherever decoding began, the holes are the same.
"""

from collections.abc import Iterator, Sequence

import numpy as np

AROUND = 0.25  # seconds on either side of a place by whose stated times it is judged; jitter was seen for up to 0.12
POINTS = 24  # in each of them, evenly spread: every frame counts by how long it lies there
FEW = 0.2  # the share of the sound at either extreme that does not count
TOLERANCE = 1.5e-3  # seconds; what is stated otherwise is another place. Clocks of milliseconds round by up to one
STEPS = 1.5  # steps of the container's clock, where these are longer
OF_A_FRAME = 1 / 3  # of its length, where this is longer: of long frames, too few are around to tell how they jitter
MOST_OF_A_FRAME = 0.025  # seconds; plain samples come in frames of any length, and their times do not jitter so far


def settled(stated: Sequence[float | None], lengths: Sequence[float], step: float) -> dict[int, float]:
    """By number, the frames that do not lie right behind the one before, and the second at which each begins.

    stated: when the frames begin, None where a frame follows the one before; of the first it is known. lengths: in
    seconds. step: of the clock that the times are of.
    """
    weights = np.asarray(lengths, float)
    counted = np.concatenate([[0.0], np.cumsum(weights)])
    late = np.array(list(_lateness(stated, counted)))
    begins = [0, *_parted(late, counted, max(TOLERANCE, STEPS * step))]
    ends = [*begins[1:], len(late)]
    return {
        begin: float(counted[begin]) + _usual(late[begin:end], weights[begin:end])
        for begin, end in zip(begins, ends, strict=True)
    }


def _lateness(stated: Sequence[float | None], counted: np.ndarray) -> Iterator[float]:
    """By how much each frame is said to begin later than if all lay end to end from 0 on."""
    late = 0.0
    for time, begin in zip(stated, counted.tolist(), strict=False):  # there is one end more
        late = late if time is None else time - begin
        yield late


def _parted(late: np.ndarray, counted: np.ndarray, tolerance: float) -> Iterator[int]:
    """The frames before which the times make a step that lasts."""
    if np.ptp(late) <= tolerance:
        return
    (before, after), few, half, lengths = _sides(late, late, counted), int(FEW * POINTS), POINTS // 2, np.diff(counted)
    apart = np.maximum(after[:, few] - before[:, ~few], before[:, few] - after[:, ~few])
    of_a_frame = np.minimum(MOST_OF_A_FRAME, OF_A_FRAME * np.maximum(lengths[:-1], lengths[1:]))
    steps = np.flatnonzero(apart > np.maximum(_jitter(late, counted), np.maximum(tolerance, of_a_frame)))
    for near in np.split(steps, np.flatnonzero(np.diff(steps) > 1) + 1) if len(steps) else ():
        first, last = int(near[0]), int(near[-1])
        between = slice(first + 1, last + 1)
        yield first + 1 + _turn(late[between], lengths[between], before[first, half], after[last, half])


def _jitter(late: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """By how much most frames around differ from the next one: not from their median, as other holes may be near."""
    changes = np.abs(np.diff(late))
    sides = _sides(np.append(0.0, changes), np.append(changes, 0.0), counted)  # without the place itself
    return np.sort(np.concatenate(sides, axis=1), axis=1)[:, ~int(FEW * 2 * POINTS)]


def _turn(late: np.ndarray, weights: np.ndarray, before: float, after: float) -> int:
    """The number of frames that are to be counted to what is said before, so that the fewest say otherwise."""
    otherwise = weights * (np.abs(late - before) - np.abs(late - after))
    return int(np.argmin(np.concatenate([[0.0], np.cumsum(otherwise)])))


def _sides(earlier: np.ndarray, later: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What frames say at points before each frame but the first, and at points after: (n - 1, POINTS), in rising order.
    Beyond an end the sound is mirrored: what is said of little sound there is not taken for a step."""
    points, total, places = (np.arange(POINTS) + 0.5) * AROUND / POINTS, counted[-1], counted[1:-1, None]

    def said(values: np.ndarray, times: np.ndarray) -> np.ndarray:
        inside = total - np.abs(total - np.abs(times))
        return np.sort(values[np.clip(np.searchsorted(counted, inside, "right") - 1, 0, len(values) - 1)], axis=1)

    return said(earlier, places - points), said(later, places + points)


def _usual(late: np.ndarray, weights: np.ndarray) -> float:
    """What frames say on average, without the few at either extreme."""
    order = np.argsort(late, kind="stable")
    reached = np.concatenate([[0.0], np.cumsum(weights[order])])
    inside = np.diff(np.clip(reached, FEW * reached[-1], (1 - FEW) * reached[-1]))
    return float(np.average(late[order], weights=inside))
