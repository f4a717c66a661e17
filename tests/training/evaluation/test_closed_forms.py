"""What measures must give where the answer is known by hand: the truth itself, the whole image, silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.annotations import Annotation
from training.evaluation.consistency import impossible
from training.evaluation.detection import Detections, always_on_f1, textbook_max_f1
from training.evaluation.instruments import music_summary, score_frame
from training.evaluation.localization import auc, ciou, success_rate
from training.evaluation.truth import weight_maps

BOXES = ((0.1, 0.1, 0.6, 0.7), (0.3, 0.2, 0.9, 0.8), (0.25, 0.4, 0.5, 0.9))


@pytest.mark.parametrize("consensus", [1, 2], ids=["VGG-SS", "Flickr, three annotators"])
def test_the_truth_as_a_mask_has_1_and_the_whole_image_its_share(consensus: int) -> None:
    weights = weight_maps([Annotation("clip", None, BOXES, consensus)])
    assert set(np.unique(weights)) == ({0, 1} if consensus == 1 else {0, 0.5, 1})
    assert ciou(weights > 0, weights).tolist() == [1]
    inside, outside = weights.sum(dtype=np.float64), (weights == 0).sum()
    assert ciou(np.ones(weights.shape, bool), weights)[0] == pytest.approx(inside / (inside + outside))


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_what_is_measured_keeps_the_bounds_of_auc(values: list[float]) -> None:
    iou = np.array(values)
    share, area = success_rate(iou), auc(iou)
    assert 0.5 * share + 0.025 * (1 - share) - 1e-12 <= area <= 0.5 + 0.5 * share + 1e-12
    assert not impossible(share, area)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_the_best_f1_of_as_many_negatives_is_no_less_than_accepting_all(seed: int) -> None:
    random, count = np.random.default_rng(seed), 12
    positive = np.arange(2 * count) < count
    iou = np.where(positive, random.random(2 * count), 0)
    located = float((iou[:count] >= 0.5).mean())
    best = textbook_max_f1(Detections(iou, random.random(2 * count), positive))
    assert always_on_f1(located, 0.5) == pytest.approx(2 * located / (2 + located))
    assert best >= 2 * located / (2 + located) - 1e-12


@pytest.mark.parametrize(("level", "expected"), [(0.0, 1.0), (0.2, 1.0), (0.3, 0.0)])
def test_maps_of_what_is_silent_are_quiet_up_to_a_fifth(level: float, expected: float) -> None:
    sounding = weight_maps([Annotation("clip", None, BOXES[:1])])[0]
    silent = np.full_like(sounding, np.float32(level))
    frame = score_frame(np.stack([sounding, silent, silent]), np.eye(3), {0: sounding}, 0.5)
    assert music_summary([frame])["nsa"] == {"coded": expected, "textbook": expected}
    assert frame.ciou == 1
