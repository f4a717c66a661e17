"""Boxes to pixels: the released conversions, box by box and scene by scene."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.annotations import Annotation, pixel_fraction
from training.evaluation.truth import SIZE_BUCKETS, box_flags, pixel_box, size_bucket, weight_map


def test_scenes_equal_the_released_readers(golden, scenes, weights):
    reference, scene = golden("golden_maps.npz"), golden("golden_scene.json")
    np.testing.assert_array_equal(weights["vggss"], reference["vggss_gt"])
    np.testing.assert_array_equal(weights["flickr"] * 2, reference["flickr_gt_times2"])
    boxes = [[list(pixel_box(box)) for box in annotation.boxes] for annotation in scenes["vggss"]]
    assert boxes == scene["vggss_boxes_int"]
    assert [[list(pixel_box(box)) for box in annotation.boxes] for annotation in scenes["flickr"]] == scene[
        "flickr_boxes_224"
    ]


@pytest.mark.parametrize("case", ["negative", "over_one", "sentinel", "zero_area", "inverted", "subpixel"])
def test_dirty_boxes_as_ezvsl_slavc_and_kaist_convert_them(golden, case):
    reference = golden("golden_edge.json")["04_boxes"][case]
    annotation = Annotation("x", None, (tuple(reference["box"]),))
    for evaluator in ("ez", "slavc", "kaist"):
        assert list(pixel_box(annotation.boxes[0])) == reference[evaluator]["result"]["box"]
        assert weight_map(annotation).sum() == reference[evaluator]["result"]["area"]
    assert weight_map(annotation).sum() == reference["lvs"]["result"]["area"]
    assert box_flags(annotation)  # every one of these boxes is reported


def test_duplicate_boxes_and_consensus(golden):
    reference = golden("golden_edge.json")["06_duplicate_boxes"]
    box = (50 / 224 + 0.001, 50 / 224 + 0.001, 100 / 224 + 0.001, 100 / 224 + 0.001)
    for count, vggss, (flickr_sum, flickr_max) in zip(
        (1, 2, 3), reference["vggss"], reference["flickr_sum_and_max"], strict=True
    ):
        assert weight_map(Annotation("x", None, (box,) * count)).sum() == vggss
        consensus = weight_map(Annotation("x", None, (box,) * count, consensus=2))
        assert (consensus.sum(), consensus.max()) == (flickr_sum, flickr_max)
    assert box_flags(Annotation("x", None, (box, box))) == ["duplicate_box"]
    assert box_flags(Annotation("x", None, (box, box), consensus=2)) == []  # annotators agreeing is the point


def test_more_than_ten_boxes_are_no_problem():
    boxes = tuple((step / 12, 0.0, (step + 1) / 12, 1.0) for step in range(12))
    assert weight_map(Annotation("x", None, boxes)).all()


@given(st.integers(0, 224))
def test_grid_coordinates_survive_as_fractions(pixel):
    fraction = pixel_fraction(pixel, 224)
    assert pixel_box((fraction,) * 4) == (pixel,) * 4


def test_size_buckets_meet_without_gap():
    edges = [edge for bounds in SIZE_BUCKETS.values() for edge in bounds]
    assert edges[1:-1:2] == edges[2:-1:2]
    assert [size_bucket(area) for area in (0, 1023.5, 1024, 9215, 9216, 20735, 20736, 50176)] == [
        "small", "small", "medium", "medium", "large", "large", "huge", "huge",
    ]  # fmt: skip
