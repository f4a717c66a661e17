"""Boxes as pixels, and what answers reach that know nothing."""

import numpy as np
import pytest

from manifests.pixels import SIZE, best_ciou, box_votes, disc_map, level_of


def test_votes_count_boxes() -> None:
    votes = box_votes([(0, 0, 0.5, 1), (0.25, 0, 1, 0.5)], size=8)
    assert votes[0].tolist() == [1, 1, 2, 2, 1, 1, 1, 1]
    assert votes[7].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_the_disc_of_half_the_image_has_25100_pixels() -> None:
    disc = disc_map()
    assert (disc >= level_of(disc.ravel(), SIZE**2 // 2)).sum() == 25100


def test_the_best_answer_covers_the_truth_first() -> None:
    weights = np.zeros((2, 10, 10), np.float32)
    weights[0, :2] = 1
    weights[1, :8] = 1
    assert best_ciou(weights, np.array([50, 50])) == pytest.approx([20 / 50, 50 / 80])
