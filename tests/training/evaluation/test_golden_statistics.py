"""Every number SLAVC's `EvaluatorFull` gave, on lists, on its own runs and on degenerate lists, from the same rows."""

from typing import Any

import numpy as np
import pytest

from training.evaluation import detection, localization
from training.evaluation.detection import Detections
from training.evaluation.metrics.extended import scores
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocols import known_protocols
from training.evaluation.truth import size_bucket

PROTOCOLS = known_protocols("localization")

EXACT = 1e-9
LISTS = ("n64", "n500", "n500_ties", "n500_constant_conf", "n999", "n10316")
BUCKET_AREA = 5000.0  # degenerate lists carry no areas; the reference gave every positive a medium one


def columns(block: dict[str, Any]) -> tuple[Detections, np.ndarray, np.ndarray]:
    """Detections, numbers of boxes and areas of a reference block that stores its rows."""
    boxes, iou, confidence = (np.array(block[name], float) for name in ("bb", "ciou", "conf"))
    area = np.array(block["area"], float) if "area" in block else np.where(boxes > 0, BUCKET_AREA, 0)
    return Detections(np.nan_to_num(iou), confidence, boxes > 0), boxes, area


def chosen_by(subset: str, boxes: np.ndarray, area: np.ndarray) -> np.ndarray:
    if subset == "all":
        return np.ones(len(boxes), bool)
    buckets = np.array([size_bucket(value) for value in area])
    return (boxes > 0) if subset == "visible" else (boxes > 0) & (buckets == subset)


def assert_statistics(detections: Detections, boxes: np.ndarray, area: np.ndarray, printed: dict[str, Any]) -> None:
    """All of `finalize_stats`: precision, F1 list, AP and AUC of each subset and cut."""
    for stem in (name.removeprefix("AP-") for name in printed if name.startswith("AP-")):
        subset, _, cut = stem.partition("@")
        chosen, at = chosen_by(subset, boxes, area), int(cut) / 100
        if not chosen.any():  # nothing to say, where the released code prints NaN
            assert all(np.isnan(printed[f"{name}-{stem}"]) for name in ("Precision", "F1", "AP", "AUC"))
            continue
        part = detections.take(chosen)
        assert detection.coded_average_precision(part, at) == pytest.approx(printed[f"AP-{stem}"], abs=EXACT)
        assert scores(part, at)["precision_all"] == pytest.approx(printed[f"Precision-{stem}"], abs=EXACT)
        assert " ".join(f"{100 * value:.1f}" for value in detection.coded_f1_list(part, at)) == printed[f"F1-{stem}"]
        if (chosen & (boxes > 0)).any():
            found = localization.auc(detections.iou[chosen & (boxes > 0)])
            assert found == pytest.approx(printed[f"AUC-{stem}"], abs=EXACT)
        else:
            assert np.isnan(printed[f"AUC-{stem}"])


def assert_single_numbers(detections: Detections, boxes: np.ndarray, block: dict[str, Any]) -> None:
    """What the evaluator returns beside `finalize_stats`."""
    located = detections.iou[detections.positive]
    assert detection.f1_at(detections) == pytest.approx(block["f1_at_50_default_conf"], abs=EXACT)
    assert detection.coded_average_precision(detections) == pytest.approx(block["ap_at_50"], abs=EXACT)
    assert localization.success_rate(located, strict=True) == pytest.approx(block["precision_at_50"], abs=EXACT)
    for count, value in block["precision_at_50_object"].items():
        group = detections.iou[detections.positive & (boxes == int(count))]
        if len(group):
            assert localization.success_rate(group, strict=True) == pytest.approx(value, abs=EXACT)
        else:
            assert np.isnan(value)
    for stem, numeric in block["f1_numeric"].items():
        assert stem.startswith("all@")
        found = detection.precision_recall(detections, np.array(numeric["thresholds"]), int(stem[4:]) / 100)
        np.testing.assert_allclose(np.stack(found, axis=1), numeric["precision_recall"], atol=EXACT, rtol=0)
        np.testing.assert_allclose(detection.f1_scores(*found), numeric["f1"], atol=EXACT, rtol=0)


@pytest.mark.parametrize("name", LISTS)
def test_lists(golden, name):
    arrays, expected = golden("golden_extended_lists.npz"), golden("golden_extended.json")["lists"][name]
    detections, boxes, area = columns({column: arrays[f"{name}_{column}"] for column in ("bb", "ciou", "conf", "area")})
    assert_statistics(detections, boxes, area, expected["original"]["finalize_stats"])
    assert_single_numbers(detections, boxes, expected["original"])
    for stem, best in expected["original_max_of_printed_F1_list_percent"].items():
        subset, _, cut = stem.removeprefix("F1-").partition("@")
        part = detections.take(chosen_by(subset, boxes, area))
        assert f"{100 * detection.coded_max_f1(part, int(cut) / 100):.1f}" == f"{best:.1f}"
    located = detections.iou[detections.positive]
    assert localization.success_rate(located) == pytest.approx(expected["locacc_ge"], abs=EXACT)
    assert localization.success_rate(located, strict=True) == pytest.approx(expected["locacc_gt"], abs=EXACT)
    assert scores(detections)["always_on_f1"] == pytest.approx(expected["always_on_f1"], abs=EXACT)


def slavc_runs(golden) -> list[dict[str, Any]]:
    """Every block of a SLAVC test run: 64 scenes alone, and 40 of them with 24 negatives."""
    chains = golden("golden_localisation.json")["chain"]
    files = [golden("golden_extended.json"), chains["vggss"], chains["flickr"]]
    runs = [runs for file in files for name, runs in file.items() if name.startswith("slavc_test_validate")]
    return [block for run in runs for block in run.values()]


def test_runs(golden):
    blocks = slavc_runs(golden)
    assert len(blocks) == 21  # three maps each of three extended and four plain runs
    for block in blocks:
        detections, boxes, area = columns(block)
        assert_statistics(detections, boxes, area, block["finalize_stats"])
        assert_single_numbers(detections, boxes, block)


def test_train_runs_return_three_numbers_of_their_rows(golden):
    chains = golden("golden_localisation.json")["chain"]
    named = [(name, block) for style in ("vggss", "flickr") for name, block in chains[style].items()]
    blocks = [block for name, block in named if name.startswith("slavc_train_validate")]
    assert len(blocks) == 2
    for block, positives in [
        *((each, 64) for each in blocks),
        (golden("golden_extended.json")["slavc_train_validate"], 40),
    ]:
        positive = np.arange(64) < positives
        detections = Detections(np.nan_to_num(block["ciou"]), np.array(block["conf"]), positive)
        assert detection.coded_average_precision(detections) == pytest.approx(block["ap_at_50"], abs=EXACT)
        assert detection.f1_at(detections) == pytest.approx(block["f1_at_50"], abs=EXACT)
        located = detections.iou[positive]
        assert localization.success_rate(located, strict=True) == pytest.approx(block["precision_at_50"], abs=EXACT)


def test_the_train_run_with_negatives_from_its_maps(golden, weights):
    inputs, reference = golden("golden_maps.npz"), golden("golden_extended.json")
    expected, composition = reference["slavc_train_validate"], reference["composition"]
    where = composition["pos_scene_idx"]
    raw = np.concatenate([inputs["low7"][where], inputs["neg7"][composition["neg_idx"]]]) / np.float32(0.03)
    protocol = PROTOCOLS["slavc_train"].at_temperature(0.03)
    prepared = prepare(raw, protocol)["audio_visual"]
    np.testing.assert_allclose(prepared.confidence, expected["conf"], atol=1e-5, rtol=0)
    iou = localization.ciou(binarise(prepared.maps[:40], protocol).masks, weights["vggss"][where])
    np.testing.assert_allclose(iou, expected["ciou"][:40], atol=3e-4, rtol=0)


def edge_lists(golden) -> dict[str, dict[str, Any]]:
    return {name: case for name, case in golden("golden_edge.json").items() if "finalize_stats" in case}


def test_degenerate_lists(golden):
    refused = set()
    for name, case in edge_lists(golden).items():
        given = case["input"]
        if not given["bb"] or np.isnan([*given["ciou"], *given["conf"]]).any():
            refused.add(name)
            continue
        detections, boxes, area = columns(given)
        assert_statistics(detections, boxes, area, case["finalize_stats"]["result"])
        assert detection.coded_average_precision(detections) == case["ap_at_50"]["result"]
        assert detection.f1_at(detections) == pytest.approx(case["f1_at_50"]["result"], abs=EXACT)
        if detections.positive.any():
            strict = localization.success_rate(detections.iou[detections.positive], strict=True)
            assert strict == case["precision_at_50"]["result"]
    assert refused == {"07d_empty", "08f_nan_confidence", "08g_nan_ciou"}


@pytest.mark.parametrize("case", ["07d_empty", "08f_nan_confidence", "08g_nan_ciou", "10c_nan_in_ezvsl_list"])
def test_lists_with_nan_or_nothing_are_refused_where_released_code_answers(golden, case):
    found = golden("golden_edge.json")[case]
    if "input" not in found:
        assert np.isnan(found["mean"])
        with pytest.raises(ValueError, match="no NaN"):
            localization.summary(np.array([0.6, np.nan, 0.2]))
        return
    given = {name: np.array(values, float) for name, values in found["input"].items()}
    with pytest.raises(ValueError, match=r"at least one|NaN"):
        Detections(given["ciou"], given["conf"], given["bb"] > 0)
