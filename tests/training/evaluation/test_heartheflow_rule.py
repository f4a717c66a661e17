"""HearTheFlow's evaluator: OpenCV's cubic enlarging, stretched, and what lies above the middle value, strictly."""

import numpy as np
import pytest
from golden_reference import enlarge, minmax

from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocols import find_protocol

MAPS = np.random.default_rng(0).uniform(-1, 1, (4, 7, 7)).astype(np.float32)


def masks() -> np.ndarray:
    protocol = find_protocol("heartheflow")
    return binarise(prepare(MAPS, protocol)["audio_visual"].maps, protocol).masks


def above_the_middle(high: np.ndarray) -> np.ndarray:
    stretched = minmax(high)
    return stretched > np.sort(stretched.ravel())[stretched.size // 2]


def test_masks_are_those_of_a_plain_reading() -> None:
    for mask, high in zip(masks(), enlarge(MAPS, "bicubic", False), strict=True):
        assert (mask != above_the_middle(high)).mean() < 1e-4  # rounding at the threshold
        assert mask.sum() == 25087


def test_masks_are_those_of_opencv() -> None:
    cv2 = pytest.importorskip("cv2")
    for mask, low in zip(masks(), MAPS, strict=True):
        high = cv2.resize(low, (224, 224), interpolation=cv2.INTER_CUBIC)
        assert (mask != above_the_middle(high)).mean() < 1e-4
