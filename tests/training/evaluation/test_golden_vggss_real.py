"""Floors and ceiling on the released vggss.json: the numbers every score on VGG-SS is to be read against."""

import numpy as np
import pytest
from ceilings import HALF_IMAGE

from manifests.catalogue import catalogue, locate, read_listed
from manifests.readers.vggss import read_vggss
from training.evaluation import localization, truth
from training.evaluation.floors import ceiling, disc_masks
from training.evaluation.protocols import known_protocols

PROTOCOLS = known_protocols("localization")


@pytest.fixture(scope="module")
def real(golden, metadata):
    """Reference values, and per clip under ez (>=) and kaist (>): cIoU of disc, of whole image, and the ceiling."""
    annotations = read_vggss(metadata("vggss/vggss.json")).annotations
    columns = {name: [] for name in ("area", "whole", "disc_ez", "disc_kaist", "best_ez", "best_kaist")}
    presets = {"ez": PROTOCOLS["ezvsl"], "kaist": PROTOCOLS["kaist"]}
    one = np.array([0])
    discs = {name: disc_masks(protocol, one) for name, protocol in presets.items()}
    for start in range(0, len(annotations), 64):
        weights = truth.weight_maps(annotations[start : start + 64])
        columns["area"].append(weights.sum(axis=(1, 2), dtype=np.float64))
        columns["whole"].append(localization.ciou(np.ones(weights.shape, bool), weights))
        for name, protocol in presets.items():
            disc = np.broadcast_to(discs[name], weights.shape)
            columns[f"disc_{name}"].append(localization.ciou(disc, weights))
            columns[f"best_{name}"].append(ceiling(weights, protocol))
    columns = {name: np.concatenate(values) for name, values in columns.items()}
    return golden("golden_vggss_real.json"), annotations, columns


@pytest.mark.parametrize("evaluator", ["ez", "kaist"])
def test_centred_disc(real, evaluator):
    expected, annotations, columns = real
    expected = expected[f"centred half-area disc | {evaluator}"]
    iou = columns[f"disc_{evaluator}"]
    protocol = PROTOCOLS["ezvsl" if evaluator == "ez" else "kaist"]
    assert disc_masks(protocol, np.array([0])).sum() == expected["positives"]
    assert localization.summary(iou) == pytest.approx(
        {"ciou50": expected["ciou50"], "auc": expected["auc"], "mean_iou": expected["mean_ciou"]}, abs=1e-9
    )
    assert localization.success_rate(iou, strict=True) == pytest.approx(expected["strict50"], abs=1e-9)
    if evaluator == "ez":
        by_size = localization.by_size(iou, columns["area"])
        assert {name: scores["ciou50"] for name, scores in by_size.items()} == pytest.approx(expected["ciou50_by_size"])
        boxes = np.array([len(annotation.boxes) for annotation in annotations])
        by_boxes = localization.by_number_of_objects(iou, boxes)
        got = {str(count): scores["ciou50"] for count, scores in by_boxes.items()}
        assert got == pytest.approx(expected["ciou50_by_number_of_boxes"])


def test_whole_image(real):
    expected, _, columns = real
    expected = expected["constant map | ez"]
    assert localization.summary(columns["whole"]) == pytest.approx(
        {"ciou50": expected["ciou50"], "auc": expected["auc"], "mean_iou": expected["mean_ciou"]}, abs=1e-9
    )


@pytest.mark.parametrize(("evaluator", "comparator"), [("ez", ">= (25088 px)"), ("kaist", "> (25087 px)")])
def test_ceiling(real, evaluator, comparator):
    expected, _, columns = real
    expected = expected[f"best possible with any half-image prediction {comparator}"]
    iou = columns[f"best_{evaluator}"]
    assert localization.summary(iou) == pytest.approx(
        {"ciou50": expected["ciou50"], "auc": expected["auc"], "mean_iou": expected["mean"]}, abs=1e-9
    )
    assert localization.success_rate(iou, strict=True) == pytest.approx(expected["strict50"], abs=1e-9)


@pytest.mark.parametrize("name", HALF_IMAGE)
def test_ceilings_that_published_numbers_are_held_to(name, real, metadata, source):
    if source != "released":
        pytest.skip("the parts are of the released lists")
    _, annotations, columns = real
    _, _, part = name.partition("-")
    kept = set(read_listed(catalogue()[part], locate(catalogue()[part], [metadata("")])).ids if part else ())
    wanted = np.array([not part or annotation.key in kept for annotation in annotations])
    for column, comparator in (("best_ez", ">="), ("best_kaist", ">")):
        found = localization.summary(columns[column][wanted])
        assert (found["ciou50"], found["auc"]) == pytest.approx(HALF_IMAGE[name][comparator], abs=1e-5)


def test_dirty_boxes_are_counted(real):
    expected, annotations, columns = real
    assert len(annotations) == expected["n"]
    empty = [annotation.key for annotation, area in zip(annotations, columns["area"], strict=True) if area == 0]
    full = [annotation.key for annotation, area in zip(annotations, columns["area"], strict=True) if area == 50176]
    assert sorted(empty) == sorted(expected["empty_gt"])
    assert sorted(full) == sorted(expected["full_image_gt"])
    pixels = [truth.pixel_box(box) for annotation in annotations for box in annotation.boxes]
    assert sum(x2 <= x1 or y2 <= y1 for x1, y1, x2, y2 in pixels) == expected["degenerate_boxes"]
    buckets = [truth.size_bucket(area) for area in columns["area"]]
    assert {name: buckets.count(name) for name in truth.SIZE_BUCKETS} == expected["size_counts"]
