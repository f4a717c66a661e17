"""AP and max-F1: SLAVC's numbers to the digit, the textbook's against a slow literal version."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation import detection, localization
from training.evaluation.consistency import impossible
from training.evaluation.detection import Detections
from training.evaluation.metrics.extended import DRAWS, equal_positives, extended_summary, scores
from training.evaluation.metrics.extended import values as shown_values
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocols import known_protocols
from training.evaluation.scores import in_order, score_of

PROTOCOLS = known_protocols("localization")

EXACT = 1e-9
LISTS = ("n64", "n500", "n500_ties", "n500_constant_conf", "n999", "n10316")


@pytest.fixture(scope="module")
def lists(golden):
    arrays, expected = golden("golden_extended_lists.npz"), golden("golden_extended.json")["lists"]

    def load(name):
        boxes, iou, confidence, area, kind = (
            arrays[f"{name}_{column}"] for column in ("bb", "ciou", "conf", "area", "type")
        )
        return Detections(iou, confidence, boxes > 0), boxes, area, kind, expected[name]

    return load


@pytest.mark.parametrize("name", LISTS)
def test_textbook_reference(lists, name):
    detections, *_, expected = lists(name)
    recalls = {"paper": "detected", "all": "every_positive"}
    for key, values in expected["reference_own_code"].items():
        recall, strict, gamma = key.split("|")
        options = {"at": float(gamma[6:]), "strict": strict == "strict=True", "recall": recalls[recall]}
        precision = detection.textbook_average_precision(detections, **options)
        assert precision == pytest.approx(values["ap_envelope_rightsum"], abs=EXACT)
        assert detection.textbook_max_f1(detections, **options) == pytest.approx(values["max_f1"], abs=EXACT)


@pytest.mark.parametrize("name", LISTS)
def test_per_negative_type(lists, name):
    detections, boxes, _, kind, expected = lists(name)
    for key, values in expected["per_negative_type"].items():
        if values["positives"] is None and "equal" in key:
            continue  # the reference does not store that draw
        chosen = kind == key.split("|")[0]
        chosen[np.flatnonzero(boxes > 0) if values["positives"] is None else values["positives"]] = True
        part = detections.take(chosen)
        assert detection.coded_average_precision(part) == pytest.approx(values["ap_code"], abs=EXACT)
        assert detection.coded_max_f1(part) == pytest.approx(values["max_f1_decile"], abs=EXACT)
        assert detection.textbook_max_f1(part) == pytest.approx(values["max_f1_all_thresholds"], abs=EXACT)


MAP_NAMES = {"av": "audio_visual", "obj": "object_prior", "av_obj": "combined"}
SLAVC_RUNS = [
    ("slavc_test_validate relative=True alpha=0.4", "slavc_relative", 0.4, "vggss"),
    ("slavc_test_validate relative=False alpha=0.9", "slavc_absolute", 0.9, "vggss"),
    ("slavc_test_validate flickr relative=True alpha=0.4", "slavc_relative", 0.4, "flickr"),
]


@pytest.fixture(scope="module")
def mixed_scenes(golden, weights):
    """Logit maps of 40 positives and 24 negatives, their object maps, and the positives' truth by annotation style."""
    inputs, composition = golden("golden_maps.npz"), golden("golden_extended.json")["composition"]
    raw = np.concatenate([inputs["low7"][composition["pos_scene_idx"]], inputs["neg7"][composition["neg_idx"]]])
    truth = {style: values[composition["pos_scene_idx"]] for style, values in weights.items()}
    return raw / np.float32(0.03), inputs["obj7"][composition["obj_idx"]], truth


@pytest.mark.parametrize(("run", "preset", "alpha", "style"), SLAVC_RUNS)
def test_slavc_from_map_to_average_precision(golden, mixed_scenes, run, preset, alpha, style):
    raw, objects, truth = mixed_scenes
    protocol, reference = PROTOCOLS[preset].at_temperature(0.03), golden("golden_extended.json")[run]
    prepared = prepare(raw, protocol, objects, alpha)
    positive = np.arange(64) < 40
    for name, expected in reference.items():
        maps = prepared[MAP_NAMES[name]]
        np.testing.assert_allclose(maps.confidence, expected["conf"], atol=1e-5, rtol=0)
        iou = np.zeros(64)
        iou[:40] = localization.ciou(binarise(maps.maps[:40], protocol).masks, truth[style])
        np.testing.assert_allclose(iou[:40], expected["ciou"][:40], atol=3e-4, rtol=0)
        ours = detection.coded_average_precision(Detections(iou, maps.confidence, positive))
        assert ours == pytest.approx(expected["ap_at_50"], abs=EXACT)


def test_the_maximum_is_the_other_confidence(golden, mixed_scenes):
    protocol = replace(PROTOCOLS["slavc_relative"].at_temperature(0.03), confidence="maximum")
    expected = golden("golden_extended.json")["confidence_variants"]["paper_max_of_upsampled_scores"]
    ours = prepare(mixed_scenes[0], protocol)["audio_visual"].confidence
    np.testing.assert_allclose(ours, expected, atol=1e-5, rtol=0)


def test_edge_lists_we_answer_differently():
    """NaN and nothing at all are refused; released code counts NaN as missed, or returns NaN."""
    one = np.array([True])
    for iou, confidence, positive in (
        (np.array([np.nan]), np.ones(1), one),
        (np.ones(1), np.array([np.nan]), one),
        (np.ones(0), np.ones(0), one[:0]),
    ):
        with pytest.raises(ValueError, match=r"detections need|NaN"):
            Detections(iou, confidence, positive)


def test_all_negatives_have_no_locacc_but_numbers_elsewhere():
    found = scores(Detections(np.zeros(5), np.linspace(0, 1, 5), np.zeros(5, bool)))
    assert found["locacc"] is None
    assert found["always_on_f1"] is None
    assert found["max_f1"]["coded"] == 0


LEVELS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
SAMPLES = st.lists(st.tuples(LEVELS, LEVELS | st.floats(0, 1), st.booleans()), min_size=1, max_size=25)


def literal_curve(samples, at, recall):
    """Precision and recall by counting, at every distinct confidence from high to low."""
    rows = []
    for threshold in sorted({confidence for _, confidence, _ in samples}, reverse=True):
        hits = sum(p and c >= threshold and u >= at for u, c, p in samples)
        wrong = sum((p and c >= threshold and u < at) or (not p and c >= threshold) for u, c, p in samples)
        missed = sum(p and c < threshold for _, c, p in samples)
        wanted = hits + missed if recall == "detected" else sum(p for *_, p in samples)
        rows.append((hits / (hits + wrong) if hits + wrong else 1.0, hits / wanted if wanted else 1.0))
    return rows


@given(SAMPLES, st.sampled_from(["detected", "every_positive"]))
def test_textbook_numbers_are_their_definitions(samples, recall):
    iou, confidence, positive = (np.array(column) for column in zip(*samples, strict=True))
    detections = Detections(iou.astype(float), confidence.astype(float), positive.astype(bool))
    rows = literal_curve(samples, 0.5, recall)
    area, before = 0.0, 0.0
    for step, (_, reached) in enumerate(rows):
        area += max(precision for precision, _ in rows[step:]) * (reached - before)
        before = reached
    assert detection.textbook_average_precision(detections, recall=recall) == pytest.approx(area, abs=1e-12)
    best = max(2 * p * r / (p + r) if p + r else 0.0 for p, r in rows)
    assert detection.textbook_max_f1(detections, recall=recall) == pytest.approx(best, abs=1e-12)
    assert detection.coded_max_f1(detections) <= detection.textbook_max_f1(detections) + 1e-12
    if positive.any():
        found = scores(detections)
        assert found["max_f1"]["coded"] >= found["always_on_f1"] - 1e-12
        assert (
            impossible(max_f1=found["max_f1"]["coded"], located=found["locacc"], positive_share=positive.mean()) == []
        )


def test_summary_by_kind_size_and_objects():
    random = np.random.default_rng(1)
    positive = np.arange(60) < 40
    detections = Detections(np.where(positive, random.uniform(size=60), 0), random.uniform(size=60), positive)
    kinds = np.where(positive, "", np.where(np.arange(60) % 2, "hard", "easy"))
    areas, boxes = random.uniform(0, 50176, 60) * positive, (np.arange(60) % 3 + 1) * positive
    found = extended_summary(detections, kinds, areas, boxes)
    assert set(found["by_negative_type"]) == {"hard", "easy"}
    assert found["by_negative_type"]["hard"]["all_positives"]["n_negative"] == 10
    assert sum(part["n_positive"] for part in found["by_size"].values()) == 40
    assert {name: part["n_positive"] for name, part in found["by_objects"].items()} == {"1": 14, "2": 13, "3": 13}
    assert found == extended_summary(detections, kinds, areas, boxes)
    recall = found["precision_recall"]["recall"]
    assert recall == sorted(recall)
    assert recall[-1] == 1


def test_beside_each_max_f1_stands_what_always_answering_reaches_on_the_same_samples():
    """Half of the clips located, confidences at random: among as many negatives the floor is far below that of all."""
    random = np.random.default_rng(1)
    positive = np.arange(440) < 400
    detections = Detections(np.where(positive, np.arange(440) % 2, 0.0), random.uniform(size=440), positive)
    kinds = np.where(positive, "", np.where(np.arange(440) % 2, "hard", "easy"))
    shown = shown_values({"map": extended_summary(detections, kinds, positive * 9.0, positive * 1)}, "map")
    for end in ("", "_hard", "_easy"):
        assert shown[f"max_f1{end}"] >= shown[f"always_on_f1{end}"]
    assert shown["always_on_f1"] > shown["max_f1_hard"]  # of other samples: these two are not to be compared
    headings = [score_of(key).heading for key in in_order(shown)]
    assert headings.index("F1 of always on, hard negatives") < headings.index("LocAcc")


def test_draws_are_seeded_equal_in_number_and_different():
    positive = np.arange(50) < 30
    detections = Detections(np.zeros(50), np.zeros(50), positive)
    negatives = np.arange(50) >= 45
    draws = [equal_positives(detections, negatives, draw, seed=0) for draw in range(DRAWS)]
    assert all(chosen.sum() == 10 and (chosen & positive).sum() == 5 for chosen in draws)
    assert len({chosen.tobytes() for chosen in draws}) > 1
    np.testing.assert_array_equal(draws[3], equal_positives(detections, negatives, 3, seed=0))
    everyone = equal_positives(detections, ~positive, 0, 0) if positive.sum() < 20 else ~positive
    assert everyone.sum() >= 20


def test_published_rows_that_cannot_be():
    """The multi-source paper's column with AUC 11.8 beside 35.5, and a max-F1 below the always-on floor."""
    assert "AUC 11.80 cannot belong" in impossible(ciou50=0.355, auc=0.118)[0]
    assert "max-F1 24.00 cannot belong" in impossible(max_f1=0.240, located=0.3416)[0]
    assert impossible(ciou50=0.3402, auc=0.3744, max_f1=0.346, located=0.3786) == []
    assert impossible(auc=0.1) == []


def test_published_floors(released):
    for rows in released("golden_vggss_real.json")["published_max_f1_vs_always_on"].values():
        for row in rows.values():
            assert 100 * detection.always_on_f1(row["locacc"] / 100, 0.5) == pytest.approx(
                row["always_on_f1"], abs=0.006
            )
