"""Proposals follow what a view shows of a frame, and only usable ones are ranked."""

import numpy as np
import pytest

from manifests.annotations import WHOLE
from training.data.regions import MOST, SAME, in_view, usable

BOXES = np.array([[0.1, 0.2, 0.4, 0.6], [0.5, 0.0, 1.0, 0.5], [0.0, 0.0, 0.2, 0.2]])


def test_the_whole_frame_changes_nothing_and_two_mirrors_neither() -> None:
    assert np.allclose(in_view(BOXES, WHOLE, False), BOXES)
    assert np.allclose(in_view(in_view(BOXES, WHOLE, True), WHOLE, True), BOXES)
    assert in_view(BOXES, WHOLE, True)[0].tolist() == pytest.approx([0.6, 0.2, 0.9, 0.6])


def test_a_crop_shifts_and_cuts_and_drops_what_is_mostly_outside() -> None:
    found = in_view(BOXES, (0.2, 0.2, 0.7, 0.7), False)  # of the second a quarter is left, of the third nothing
    assert np.allclose(found, [[0.0, 0.0, 0.4, 0.8]])
    assert len(in_view(BOXES, (0.2, 0.1, 0.8, 0.7), False)) == 2


def test_specks_slivers_whole_frames_and_repetitions_are_not_ranked() -> None:
    boxes = np.array(
        [
            [0.0, 0.0, 1.0, 0.95],
            [0.1, 0.1, 0.5, 0.5],
            [0.1, 0.1, 0.501, 0.5],
            [0.2, 0.2, 0.25, 0.25],
            [0.2, 0.0, 0.22, 0.9],
        ]
    )
    assert usable(boxes).tolist() == [boxes[1].tolist()]


def test_too_many_are_thinned_over_all_sizes() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.5, (900, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.1, 0.5, (900, 2))], axis=1)
    found = usable(boxes)
    assert len(found) == MOST
    area = np.sort((found[:, 2:] - found[:, :2]).prod(axis=1))
    assert area[0] < 0.02
    assert area[-1] > 0.2
    assert usable(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_of_regions_that_repeat_one_another_the_earlier_stays(kind: type) -> None:
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 0.3, (40, 2))
    seen = np.concatenate([low, low + rng.uniform(0.3, 0.6, (40, 2))], axis=1)
    boxes = rng.permutation(np.concatenate([seen, seen + rng.uniform(-0.01, 0.01, seen.shape)])).clip(0, 1).astype(kind)
    kept: list[np.ndarray] = []
    for box in boxes:
        if all(iou(box, other) <= SAME for other in kept):
            kept.append(box)
    assert len(kept) < len(boxes)
    assert usable(boxes).tolist() == [box.tolist() for box in kept]


def iou(one: np.ndarray, other: np.ndarray) -> float:
    shared = (np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])).clip(min=0).prod()
    return float(shared / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared))
