"""Retrieval, AVSBench, MUSIC, on-screen and interactive scores against the reference values."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from manifests.annotations import Annotation, TestSet, corners
from manifests.pixels import SIZE
from manifests.test_sets import Truth
from manifests.truth import read_truth
from training.evaluation import instruments, localization, segmentation
from training.evaluation.metrics.interactive import group_key, interactive_summary
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocols import known_protocols
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import onscreen, retrieval
from training.evaluation.tasks import segmentation as segmentation_task
from training.evaluation.tasks.robust import video_batches
from training.evaluation.truth import weight_map, weight_maps

PROTOCOLS = known_protocols("localization")

EXACT = 1e-9
SIMILARITY_NAMES = {
    "ssltie_forward_A0_ref": "max_over_positions",
    "max_over_positions": "max_over_positions",
    "mean_over_positions": "mean_over_positions",
    "avgpool_then_cosine": "pooled_cosine",
    "ezvsl_normalised_map_avgpool_then_cosine": "pooled_unit_cosine",
}


@pytest.mark.parametrize("name", SIMILARITY_NAMES)
def test_retrieval(golden, name):
    arrays, expected = golden("golden_retrieval.npz"), golden("golden_retrieval.json")["expected"][name]
    ours = retrieval.SIMILARITIES[SIMILARITY_NAMES[name]](arrays["img"], arrays["aud"])
    np.testing.assert_allclose(ours, arrays[f"sim_{name}"], atol=1e-6, rtol=0)
    for similarity in (ours, arrays[f"sim_{name}"]):
        found = retrieval.retrieval_summary(similarity, name, ties="optimistic")["instance"]
        assert found["image_to_audio"] == pytest.approx(expected["I2A"], abs=EXACT)
        assert found["audio_to_image"] == pytest.approx(expected["A2I"], abs=EXACT)


def test_a_constant_similarity_scores_as_chance_does():
    constant = np.zeros((200, 200), np.float32)
    for ties, first in (("optimistic", 1.0), ("expected", 1 / 200), ("pessimistic", 0.0)):
        found = retrieval.retrieval_summary(constant, "constant", ties=ties)
        assert found["instance"]["image_to_audio"]["R@1"] == pytest.approx(first)
        assert found["ties"] == ties
    for labels in (["a"] * 50 + ["b"] * 50, list("aaabbbbccdef")):
        found = retrieval.retrieval_summary(np.zeros((len(labels),) * 2), "constant", np.array(labels))
        for way in ("image_to_audio", "audio_to_image"):
            assert found["class"][way] == pytest.approx(retrieval.chance_of_class(labels))
            assert found["instance"][way] == pytest.approx({f"R@{k}": min(1, k / len(labels)) for k in (1, 5, 10)})
    with pytest.raises(ValueError, match="NaN"):
        retrieval.retrieval_summary(np.full((2, 2), np.nan), "broken")
    with pytest.raises(ValueError, match="no rank"):
        retrieval.ranks(np.zeros((1, 2)), np.zeros((1, 2), bool))


def test_chance_by_class_is_what_random_orders_reach():
    assert retrieval.chance_of_class("aaaa") == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0}
    assert retrieval.chance_of_class("abcd") == pytest.approx({"R@1": 0.25, "R@5": 1.0, "R@10": 1.0})
    labels = list("aaabbbbccdefghij")
    classes, random = np.array(labels), np.random.default_rng(0)
    drawn = [retrieval.retrieval_summary(random.random((16, 16)), "random", classes) for _ in range(300)]
    for k, expected in retrieval.chance_of_class(labels).items():
        assert np.mean([each["class"]["image_to_audio"][k] for each in drawn]) == pytest.approx(expected, abs=0.03)


@given(st.integers(0, 2**32 - 1))
def test_ranks_are_counted(seed):
    random = np.random.default_rng(seed)
    similarity = random.integers(0, 4, (6, 6)) / 4
    classes = random.integers(0, 3, 6)
    relevant = classes[:, None] == classes[None, :]
    for ties in ("optimistic", "expected", "pessimistic"):
        for row, (scores, right) in enumerate(zip(similarity, relevant, strict=True)):
            best = max(score for score, is_right in zip(scores, right, strict=True) if is_right)
            larger = sum(score > best for score in scores)
            tied = sum(score == best and not is_right for score, is_right in zip(scores, right, strict=True))
            same = sum(score == best and is_right for score, is_right in zip(scores, right, strict=True))
            weight = {"optimistic": 0, "expected": 1 / (same + 1), "pessimistic": 1}[ties]
            assert retrieval.ranks(similarity, relevant, ties)[row] == pytest.approx(1 + larger + weight * tied)
    by_class = retrieval.retrieval_summary(similarity, "random", classes)
    for direction in ("image_to_audio", "audio_to_image"):
        for k in ("R@1", "R@5", "R@10"):
            assert by_class["class"][direction][k] >= by_class["instance"][direction][k]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_expected_recall_and_rank_are_what_breaking_ties_at_random_reaches(seed):
    random = np.random.default_rng(seed)
    similarity, classes = random.integers(0, 2, (12, 12)).astype(float), random.integers(0, 4, 12)
    relevant = classes[:, None] == classes
    broken = [similarity + 1e-6 * random.random(similarity.shape) for _ in range(400)]
    for way in (relevant, np.eye(12, dtype=bool)):
        for k, expected in retrieval.recalls(similarity, way).items():
            drawn = np.mean([retrieval.recalls(each, way, "optimistic")[k] for each in broken])
            assert drawn == pytest.approx(expected, abs=0.04)
        drawn = np.mean([retrieval.ranks(each, way) for each in broken])
        assert drawn == pytest.approx(retrieval.ranks(similarity, way).mean(), abs=0.4)


@pytest.fixture(scope="module")
def frames(golden):
    """Probabilities (20, 224, 224) and truth of the AVSBench reference, and its expected numbers."""
    expected, inputs = golden("golden_avsbench.json"), golden("golden_maps.npz")
    where = [list(inputs["full_idx"]).index(scene) for scene in expected["frames_scene_idx"]]
    logits = inputs["full"][where] * np.float32(8) - np.float32(5)
    return 1 / (1 + np.exp(-logits)), golden("golden_avsbench_masks.npz")["masks"].astype(bool), expected


@pytest.mark.parametrize("size", [5, 10, 20])
def test_avsbench_as_released(frames, size):
    probabilities, truth, expected = frames
    iou, curves = segmentation.mask_iou(probabilities > 0.5, truth), segmentation.f_curves(probabilities, truth)
    np.testing.assert_allclose(iou, expected["mask_iou_per_frame"], atol=5e-5, rtol=0)
    released = expected[f"avsbench frames_per_batch={size}"]
    assert segmentation.mean_over_batches(iou, size) == pytest.approx(released["miou"], abs=5e-5)
    assert segmentation.f_score(curves, truth, size) == pytest.approx(released["F"], abs=5e-4)
    for start, (miou, best) in zip(range(0, 20, size), released["per_batch_miou_F"], strict=True):
        assert iou[start : start + size].mean() == pytest.approx(miou, abs=5e-5)
        assert segmentation.f_score(curves[start : start + size], truth[start : start + size], size) == pytest.approx(
            best, abs=5e-4
        )


def scored(tmp_path, probabilities, truth, **changes):
    """The scores of the protocol of AVSBench, and what it counted, of what is a probability already."""
    keys = [f"dog/clip{number // 5}/clip{number // 5}_{number % 5 + 1}" for number in range(len(truth))]
    for key, mask in zip(keys, truth, strict=True):
        path = tmp_path / "s4_data" / "gt_masks" / "test" / f"{key}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    own = {"interpolation": "none", "scaling": "none", "stretch": False}
    asked = replace(known_protocols("segmentation")["avsbench"], **own, **changes)
    found = segmentation_task.score(
        RawMaps(keys, probabilities.astype(np.float32)), read_truth(tmp_path / "s4_data", "avsbench"), asked
    )
    return found.summary["scores"]["audio_visual"], found.summary


def test_avsbench_as_acl_repairs_it(frames, tmp_path):
    probabilities, truth, expected = frames
    found, counted = scored(tmp_path, probabilities, truth)
    for frames_per_batch in (5, 20):
        released = expected[f"acl frames_per_batch={frames_per_batch} thr=0.5 (probabilities)"]
        assert found["miou"] == pytest.approx(released["miou"], abs=5e-5)
        assert found["f_data_set"] == pytest.approx(released["F"], abs=5e-4)
        top_half = expected[f"acl frames_per_batch={frames_per_batch} thr=None (probabilities)"]
        assert found["miou_top_half"] == pytest.approx(top_half["miou"], abs=5e-5)
    assert found["f_per_video"] == pytest.approx(expected["avsbench frames_per_batch=5"]["F"], abs=5e-4)
    assert counted["n_empty_truth"] == int((~truth.any(axis=(1, 2))).sum()) > 0


@pytest.mark.parametrize(
    ("changes", "names"),
    [({"level": 0.9}, {"miou"}), ({"beta_squared": 9.0}, {"f_per_video", "f_data_set"}),
     ({"f_thresholds": 3}, {"f_per_video", "f_data_set"})],
)  # fmt: skip
def test_what_a_protocol_says_of_masks_is_what_is_scored(frames, tmp_path, changes, names):
    probabilities, truth, _ = frames
    usual, found = (scored(tmp_path, probabilities, truth, **given)[0] for given in ({}, changes))
    scores = {"miou", "miou_top_half", "f_per_video", "f_data_set"}
    assert {name for name in scores if found[name] != usual[name]} == names


def test_f_curves_are_counted(frames):
    probabilities, truth, _ = frames
    curves = segmentation.f_curves(probabilities[:2], truth[:2])
    for frame in range(2):
        for step in (0, 1, 90, 200, 254):
            predicted = probabilities[frame] >= np.float32(step / 254 * (1 - 1e-10))
            hits = (predicted & truth[frame]).sum()
            precision, recall = hits / (predicted.sum() + 1e-20), hits / (truth[frame].sum() + 1e-20)
            value = 1.3 * precision * recall / (0.3 * precision + recall) if hits else 0.0
            assert curves[frame, step] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("case", ["pred0_gt0", "pred1_gt0", "pred0_gt1", "pred1_gt1", "logit_exactly_0_gt1"])
def test_avsbench_edges(golden, case, tmp_path):
    expected = golden("golden_edge.json")["13_avsbench"][case]
    logit = 0.0 if "exactly" in case else (20.0 if "pred1" in case else -20.0)
    probability = np.full((1, 224, 224), 1 / (1 + np.exp(-logit)), np.float32)
    truth = np.full((1, 224, 224), case.endswith("gt1"))
    found, _ = scored(tmp_path, probability, truth)
    assert found["miou"] == pytest.approx(expected["miou"]["result"], abs=1e-5)
    assert found["f_per_video"] == pytest.approx(expected["F"]["result"], abs=1e-5)


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        (("a/v_1", "a/w_1", "a/v_2", "b/v_1"), [[0, 2], [1], [3]]),
        (("111", "112", "dog/113", "114"), [[0], [1], [2], [3]]),
        (("111_x", "111_y", "AbCdEfGhI-1", "AbCdEfGh_-1", "_1"), [[0], [1], [2], [3], [4]]),
    ],
)
def test_a_name_without_a_number_is_a_video_of_its_own(keys, rows):
    assert segmentation_task.rows_by_video(keys) == rows
    assert [batch.tolist() for batch in video_batches(keys, 1)] == rows


def test_avsbench_refuses_nan():
    with pytest.raises(ValueError, match="NaN"):
        segmentation.f_curves(np.full((1, 2, 2), np.nan, np.float32), np.ones((1, 2, 2), bool))


def test_music_solo(golden):
    expected, inputs, scene = (
        golden("golden_music.json")["solo"],
        golden("golden_maps.npz"),
        golden("golden_scene.json"),
    )
    order = {f"{name}/frame.jpg": index for index, name in enumerate(scene["names"])}
    keys = [key for key in expected["keys"] if expected["boxes"].get(key)]  # the others are skipped, as released
    annotations = [Annotation(key, None, tuple(corners(*box, SIZE) for box in expected["boxes"][key])) for key in keys]
    raw = np.maximum(inputs["low14"][[order[key] for key in keys]], 0)
    protocol = PROTOCOLS["dsol"]
    masks = binarise(prepare(raw, protocol)["audio_visual"].maps, protocol).masks
    iou = localization.ciou(masks, weight_maps(annotations))
    np.testing.assert_allclose(iou, expected["ciou"], atol=3e-4, rtol=0)
    assert localization.success_rate(iou) == pytest.approx(expected["iou50"], abs=EXACT)
    assert localization.auc(iou) == pytest.approx(expected["auc"], abs=EXACT)


@pytest.mark.parametrize("clusters", [11, 20])
@pytest.mark.parametrize(
    ("kind", "fraction", "checked"),
    [("synthetic", 0.5, 11), ("duet", 0.2, None)],
)
def test_music_mixtures(golden, clusters, kind, fraction, checked):
    reference, arrays = golden("golden_music.json"), golden("golden_music.npz")
    expected = reference[f"{kind}_{clusters}clusters"]
    names = reference["categories"]
    row_of = {int(number): names["keylist"].index(name) for number, name in names["duetkeys"].items()}
    scored = []
    for key in expected["keys"]:
        boxes = {}
        for *box, category in reference[f"boxes_{clusters}"][key]:
            boxes.setdefault(row_of[int(category)], []).append(corners(*box, SIZE))
        truth = {row: weight_map(Annotation(key, None, tuple(found))) for row, found in boxes.items()}
        maps = arrays[f"maps_{clusters}"][int(key[1:])]
        scored.append(instruments.score_frame(maps, arrays[f"corr_{clusters}"], truth, fraction, checked))
    np.testing.assert_allclose([frame.ciou for frame in scored], expected["ciou"], atol=3e-4, rtol=0)
    np.testing.assert_allclose([frame.coded_area for frame in scored], expected["nosound"], atol=1e-4, rtol=0)
    found = instruments.music_summary(scored)
    for ours, theirs in (("ciou30", "ciou_at_0_3"), ("ciou50", "ciou_at_0_5"), ("auc", "auc")):
        assert found[ours] == pytest.approx(expected[theirs], abs=EXACT)
    assert found["nsa"]["coded"] == pytest.approx(expected["nsa"], abs=1e-4)
    assert (found["nsa"]["textbook"] == found["nsa"]["coded"]) == (clusters == 11)


def test_music_frame_where_everything_sounds_has_no_silent_area():
    truth = {0: np.ones((224, 224), np.float32)}
    frame = instruments.score_frame(np.ones((1, 4, 4), np.float32), np.ones((1, 1)), truth, 0.5)
    assert frame == instruments.FrameScore(1.0, None, None, cap=1.0, piap=1.0)
    assert instruments.music_summary([frame])["nsa"] == {"coded": None, "textbook": None}
    assert instruments.music_summary([frame])["n_without_silent_cluster"] == 1


def test_instruments_that_are_exchanged_lose_cap_and_keep_piap():
    """Two instruments, a half of the frame each; between the halves a map is bent, so not all of it counts."""
    truth = {0: np.zeros((224, 224), np.float32), 1: np.zeros((224, 224), np.float32)}
    truth[0][:, :112], truth[1][:, 112:] = 1, 1
    maps = np.stack([truth[0], truth[1]])
    right = instruments.score_frame(maps, np.eye(2), truth, 0.5)
    wrong = instruments.score_frame(maps[::-1], np.eye(2), truth, 0.5)
    assert (right.ciou, right.cap, right.piap) == (1, 1, 1)
    assert (wrong.ciou, wrong.cap, wrong.piap) == (0, pytest.approx(0.5), 1)  # what is shown last is all of it


def onscreen_scores(reference, protocol, threshold=None):
    kinds = {}
    for kind in ("pos", "neg"):
        distance, activation = (np.array(reference[f"{name}_{kind}"]) for name in ("dist", "act"))
        kinds[kind] = onscreen.Pairs([f"{kind}{number}" for number in range(len(distance))], distance, activation)
    annotations = tuple(Annotation(name, None, ()) for name in kinds["pos"].names)
    truth = Truth("vggss", TestSet("pairs", annotations, "made up", "0" * 64))
    both = onscreen.BothPairs(kinds["pos"], kinds["neg"], threshold)
    return onscreen.score(both, truth, known_protocols("onscreen")[protocol]).summary


def test_onscreen(golden):
    reference = golden("golden_onscreen.json")
    found = onscreen_scores(reference, "onscreen")
    assert found["m_on"] == pytest.approx(reference["m_on"], abs=EXACT)
    assert found["protocol"]["d_on"] == reference["d_on"]
    for rule in ("m_on", "d_on", "either"):
        assert found["scores"][rule]["accuracy"] == pytest.approx(reference[f"acc_{rule}"], abs=EXACT)


def test_a_pair_at_the_very_threshold_is_off_screen():
    """Of the distance, below which a pair is on screen, and of the activation, above which it is."""
    level = onscreen.ACTIVATION_THRESHOLD
    distance = np.array([0.5, 1.0, 1.5]), np.array([1.0])
    activation = np.array([level, level, 2 * level]), np.array([level])
    right = onscreen.right_answers(distance, activation, 1.0)
    assert right["m_on"].tolist() == [True, False, False, True]
    assert right["d_on"].tolist() == [False, False, True, True]
    assert right["either"].tolist() == [True, False, True, True]


def test_onscreen_at_the_distance_of_other_pairs(golden):
    found = onscreen_scores(golden("golden_onscreen.json"), "onscreen_validated", threshold=0.0)
    assert found["m_on"] == 0
    assert found["scores"]["m_on"]["accuracy"] == 0.5  # none is near enough: mismatched pairs right, matching wrong


def test_interactive_runs(golden):
    reference = golden("golden_is3.json")
    runs = {name: block for name, block in reference.items() if name.startswith("kaist")}
    assert len(runs) == 3
    for block in runs.values():
        for ours, suffix in (("ciou", ""), ("ciou_adap", "_adap")):
            found = interactive_summary(reference["names"], np.array(block["av"][ours]))
            assert found["iiou"] == pytest.approx(block["av"][f"iiou{suffix}"], abs=EXACT)
            assert found["iauc"] == pytest.approx(block["av"][f"iauc{suffix}"], abs=EXACT)
        assert found["n_groups"] == len(block["av"]["groups"])
        assert [group_key(name) in block["av"]["groups"] for name in reference["names"]].count(False) == 0


@pytest.mark.parametrize(
    ("start", "protocol", "side"),
    [
        ("kaist_validate (", "kaist", 7),
        ("kaist_validate_lvs", "kaist_lvs_aligned", 14),
        ("kaist_validate_ssltie", "kaist_lvs", 14),
    ],
)
def test_interactive_chain(golden, start, protocol, side):
    from manifests.annotations import pixel_fraction
    from training.evaluation.protocol import adaptive

    reference, inputs = golden("golden_is3.json"), golden("golden_maps.npz")
    (block,) = (reference[name] for name in reference if name.startswith(start))
    boxes = [tuple(pixel_fraction(value, 224) for value in box) for box in reference["boxes_224"]]
    weights = weight_maps([Annotation(str(i), None, (box,)) for i, box in enumerate(boxes)])
    raw = inputs["low7"] / np.float32(0.03) if side == 7 else inputs["low14"]
    where = reference["scene_idx"]
    support = (weights != 0).sum(axis=(1, 2))
    prepared = prepare(raw[where], PROTOCOLS[protocol], inputs["obj7"][where])
    for name, reference_name in (("audio_visual", "av"), ("combined", "ogl")):
        for rule, column in ((PROTOCOLS[protocol], "ciou"), (adaptive(PROTOCOLS[protocol], "a"), "ciou_adap")):
            iou = localization.ciou(binarise(prepared[name].maps, rule, support).masks, weights)
            np.testing.assert_allclose(iou, block[reference_name][column], atol=3e-4, rtol=0)


def test_interactive_lists(golden):
    reference = golden("golden_is3.json")["list_level"]
    names = [f"{group}_{side}" for group in reference["groups"] for side in ("a", "b")]
    for position, suffix in ((0, ""), (1, "_adap")):
        iou = np.array([values[position][side] for values in reference["groups"].values() for side in (0, 1)])
        found = interactive_summary(names, iou)
        assert found["iiou"] == pytest.approx(reference["expected"][f"iiou{suffix}"], abs=EXACT)
        assert found["iauc"] == pytest.approx(reference["expected"][f"iauc{suffix}"], abs=EXACT)
        assert localization.success_rate(iou) == pytest.approx(reference["expected"][f"ciou{suffix}50"], abs=EXACT)
        assert localization.auc(iou) == pytest.approx(reference["expected"][f"auc{suffix}"], abs=EXACT)


def test_interactive_names():
    assert group_key("images/dog_piano_1001_dog.jpg") == group_key("dog_piano_1001_piano") == "dog_piano_1001"
    sizes = interactive_summary(["a_1_x", "a_1_y", "b_2_x"], np.array([0.6, 0.4, 0.7]))
    assert sizes["group_sizes"] == {"1": 1, "2": 1}
    assert sizes["iiou"] == 0.5
