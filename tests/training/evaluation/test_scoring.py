"""Scoring of named maps: what is counted, what is named, what is refused, and that the files say the same."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.test_sets import Truth
from training.evaluation import localization
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.printing import table
from training.evaluation.protocols import known_protocols
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score as score_task
from training.evaluation.tasks.localization import score
from training.evaluation.truth import weight_maps

PROTOCOLS = known_protocols("localization")

BOXES = {
    "clean_____0_000001": ((0.1, 0.1, 0.6, 0.9),),
    "clean_____1_000002": ((0.4, 0.0, 1.0, 0.7), (0.0, 0.0, 0.3, 0.3)),
    "dirty_____2_000003": ((0.2, 0.2, -2.88e16, 0.9), (0.5, 0.5, 1.2, 1.0)),
    "empty_____3_000004": ((0.3, 0.9, 0.8, 0.9),),
    "twice_____4_000005": ((0.2, 0.2, 0.8, 0.8), (0.2, 0.2, 0.8, 0.8)),
    "absent____5_000006": ((0.2, 0.2, 0.8, 0.8),),
}
CLIPS = TestSet("tiny", tuple(Annotation(key, "dog", boxes) for key, boxes in BOXES.items()), "tiny.json", "0" * 64)
TRUTH = Truth("vggss", CLIPS)
SCORED = [key for key in BOXES if not key.startswith("absent")]


@pytest.fixture
def maps():
    return np.random.default_rng(3).normal(size=(len(SCORED), 7, 7)).astype(np.float32)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_rows_are_the_chain_applied(maps, name):
    protocol = PROTOCOLS[name]
    maps = maps.repeat(32, axis=1).repeat(32, axis=2) if name in ("acl", "boxes") else maps
    objects = np.abs(maps[::-1]) + 0.1
    result = score(RawMaps(SCORED, maps, objects, alpha=0.3), TRUTH, protocol, batch=2)
    weights = weight_maps(CLIPS.annotations[: len(SCORED)])
    support = (weights != 0).sum(axis=(1, 2))
    rows = result.table.to_pylist()
    for map_name, prepared in prepare(maps, protocol, objects, 0.3).items():
        iou = localization.ciou(binarise(prepared.maps, protocol, support).masks, weights)
        mine = [row for row in rows if row["map"] == map_name]
        assert [row["key"] for row in mine] == SCORED
        np.testing.assert_allclose([row["iou"] for row in mine], iou, atol=1e-12)
        np.testing.assert_allclose([row["confidence"] for row in mine], prepared.confidence, rtol=1e-6)
        scores = result.summary["scores"][map_name]
        assert {key: scores[key] for key in ("ciou50", "auc", "mean_iou")} == pytest.approx(localization.summary(iou))
    assert set(result.summary["floors"]) == {"centred_disc", "whole_image", "random", "object_prior"}
    assert result.summary["floors"]["object_prior"] == result.summary["scores"]["object_prior"]
    assert result.summary["ceiling"]["ciou50"] >= result.summary["scores"]["combined"]["ciou50"]


def test_missing_and_dirty_clips_are_named_and_counted(maps):
    summary = score(RawMaps(SCORED, maps), TRUTH, PROTOCOLS["ezvsl"]).summary
    assert (summary["n_expected"], summary["n_scored"]) == (6, 5)
    assert summary["missing"] == ["absent____5_000006"]
    assert summary["n_empty_truth"] == 1
    assert summary["flags"] == {"degenerate_box": 2, "duplicate_box": 1, "empty_truth": 1, "outside_box": 1}
    assert summary["lists"]["truth"] == {"name": "tiny", "sha256": "0" * 64}
    assert summary["n_maps_of_other_clips"] == 0
    assert {count: scores["n"] for count, scores in summary["breakdown"]["audio_visual"]["objects"].items()} == {
        "1": 2,
        "2": 3,
    }


def test_names_match_in_any_order_and_spelling_and_others_are_counted(maps):
    spelled = ["clean_____0_1000_11000", "vclean_____1_2_12_out", *SCORED[2:], "somethingel_000009"]
    shuffled = [5, 3, 0, 1, 4, 2]
    extended = np.concatenate([maps, maps[:1]])
    expected = score(RawMaps(SCORED, maps), TRUTH, PROTOCOLS["ezvsl"])
    got = score(RawMaps([spelled[i] for i in shuffled], extended[shuffled]), TRUTH, PROTOCOLS["ezvsl"])
    assert got.table.equals(expected.table)
    assert got.summary["n_maps_of_other_clips"] == 1


def test_a_constant_map_is_flagged_and_its_ties_reported(maps):
    maps[0] = 0.25
    for name, predicted in (("ezvsl", True), ("kaist", False), ("adaptive", False), ("textbook", False)):
        result = score(RawMaps(SCORED, maps), TRUTH, PROTOCOLS[name])
        row = result.table.to_pylist()[0]
        assert row["flags"] == ["constant_map"]
        assert (row["iou"] > 0) == predicted
        assert result.summary["tie_share"] >= (224 * 224 - 1) / 224**2 / len(SCORED)


def test_given_confidence_replaces_the_rule(maps):
    given = np.linspace(0, 1, len(SCORED))
    result = score(RawMaps(SCORED, maps, confidence=given), TRUTH, PROTOCOLS["ezvsl"])
    got = [row["confidence"] for row in result.table.to_pylist() if row["map"] == "audio_visual"]
    np.testing.assert_array_equal(got, given)


def test_written_files_hold_the_result(maps, tmp_path):
    result = score(RawMaps(SCORED, maps), TRUTH, PROTOCOLS["adaptive"], run="runs/x")
    path = result.write(tmp_path / "evaluation")
    assert path.name == "tiny.adaptive.json"
    written = json.loads(path.read_text())
    assert {name: value for name, value in written.items() if name != "sha256"} == result.summary
    assert written["protocol"]["rule"] == "adaptive"
    assert written["run"] == "runs/x"
    assert pq.read_table(path.with_suffix(".parquet")).equals(result.table)
    assert sorted(file.name for file in path.parent.iterdir()) == ["tiny.adaptive.json", "tiny.adaptive.parquet"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_without_ranking_is_refused_by_name(maps, value):
    maps[3, 2, 2] = value
    with pytest.raises(InputError, match="empty_____3_000004 holds NaN or infinity"):
        score(RawMaps(SCORED, maps), TRUTH, PROTOCOLS["ezvsl"])


def test_wrong_input_is_refused(maps):
    ezvsl = PROTOCOLS["ezvsl"]
    with pytest.raises(InputError, match="two maps for clean_____0_000001"):
        score(RawMaps([*SCORED[:4], "clean_____0_1000_11000"], maps), TRUTH, ezvsl)
    with pytest.raises(InputError, match="None of the 5 maps belongs to a clip of tiny"):
        score(RawMaps([f"x{i}" for i in range(5)], maps), TRUTH, ezvsl)
    with pytest.raises(InputError, match="4 names but 5 maps"):
        RawMaps(SCORED[:4], maps)
    with pytest.raises(InputError, match="5 names but 3 object maps"):
        RawMaps(SCORED, maps, maps[:3])
    for wrong in (maps[:, 0], np.array(3.0)):
        with pytest.raises(InputError, match="shape"):
            RawMaps(SCORED, wrong)
    with pytest.raises(InputError, match=r"array maps holds 1e\+300, which does not fit float32"):
        score(RawMaps(SCORED, np.full(maps.shape, 1e300)), TRUTH, ezvsl)
    with pytest.raises(InputError, match="array object_maps the map of clean_____0_000001 holds NaN"):
        score(RawMaps(SCORED, maps, np.full_like(maps, np.nan)), TRUTH, ezvsl)
    with pytest.raises(InputError, match="confidences hold NaN"):
        RawMaps(SCORED, maps, confidence=np.full(5, np.nan))
    with pytest.raises(InputError, match="do not fit the protocol acl"):
        score(RawMaps(SCORED, maps), TRUTH, PROTOCOLS["acl"])


def test_frames_of_a_video_are_drawn_together() -> None:
    """The same numbers from four videos of five frames are worth less than from twenty clips."""
    keys = [f"video{number // 5}_{number % 5 + 1}" for number in range(20)]
    boxes = ((0.1, 0.1, 0.6, 0.9),)
    frames = TestSet("made", tuple(Annotation(key, "dog", boxes) for key in keys), "made", "0" * 64)
    maps = np.random.default_rng(0).normal(size=(4, 7, 7)).astype(np.float32).repeat(5, axis=0)
    widths = {}
    for format in ("avsbench_s4", "vggss"):
        scores = score(RawMaps(keys, maps), Truth(format, frames), PROTOCOLS["ezvsl"]).summary["scores"]["audio_visual"]
        low, high = scores["interval95"]["mean_iou"]
        widths[format] = high - low
    assert widths["avsbench_s4"] > 1.5 * widths["vggss"]


def test_ties_are_said_on_the_screen(maps) -> None:
    masks = (np.arange(49).reshape(1, 7, 7) < 12).astype(np.float32).repeat(len(SCORED), axis=0)
    said = "of the pixels tie at the threshold"
    assert said in table(score(RawMaps(SCORED, masks), TRUTH, PROTOCOLS["ezvsl"]).summary)
    assert said not in table(score(RawMaps(SCORED, maps), TRUTH, PROTOCOLS["ezvsl"]).summary)
    assert f"{said}: they are taken row by row" in table(
        score(RawMaps(SCORED, masks), TRUTH, PROTOCOLS["textbook"]).summary
    )


def test_the_floor_of_the_whole_image_is_that_of_all_pixels():
    """Whatever a rule does with a constant map."""
    keys = ("a", "b")
    clips = tuple(Annotation(key, None, ((0.0, 0.0, 0.5, 0.5),)) for key in keys)
    truth = Truth("vggss", TestSet("made", clips, "made.json", "0" * 64))
    maps = np.random.default_rng(1).random((2, 7, 7))
    for protocol, scores in {
        "avsbench": ("miou", "miou_top_half"),
        "ezvsl": ("mean_iou",),
        "textbook": ("mean_iou",),
        "sspl": ("mean_iou",),
        "adaptive_masks": ("mask_miou",),
    }.items():
        floors = score_task(RawMaps(keys, maps), truth, protocol).summary["floors"]
        assert [floors["whole_image"][name] for name in scores] == pytest.approx([0.25] * len(scores))


@pytest.mark.parametrize(
    ("protocol", "scores"),
    [
        ("avsbench", ("miou", "miou_top_half")),
        *((name, ("mask_miou",)) for name in ("adaptive_masks", "top_half_masks")),
    ],
)
def test_masks_of_nothing_are_a_floor_which_frames_without_truth_reward(protocol, scores):
    clips = tuple(Annotation(key, None, ((0.0, 0.0, 0.5, 0.5),) if key == "a" else ()) for key in "abcd")
    truth = Truth("vggss", TestSet("made", clips, "made.json", "0" * 64))
    maps = np.random.default_rng(1).random((4, 7, 7))
    floors = score_task(RawMaps(tuple("abcd"), maps), truth, protocol).summary["floors"]
    assert [floors["nothing"][name] for name in scores] == pytest.approx([0.75] * len(scores))
    assert floors["whole_image"][scores[0]] == pytest.approx(0.25 / 4)


@pytest.mark.parametrize("boxes", [(), ((0.5, 0.5, 0.5, 0.9),), ((1.0, 1.0, 1.5, 1.5),)])
def test_a_set_without_anything_to_localize_is_refused(maps, boxes):
    nothing = tuple(Annotation(key, None, boxes) for key in SCORED)
    truth = Truth("vggss", TestSet("none", nothing, "none.json", "0" * 64))
    for protocol in ("ezvsl", "avsbench", "adaptive_masks"):
        with pytest.raises(InputError, match=r"None of the 5 clips of none\.json has a box that covers a pixel"):
            score_task(RawMaps(SCORED, maps), truth, protocol)
    one = Annotation("one", None, ((0.1, 0.1, 0.9, 0.9),))
    truth = Truth("vggss", TestSet("one", (*nothing, one), "one.json", "0" * 64))
    found = score_task(RawMaps([*SCORED, "one"], np.concatenate([maps, maps[:1]])), truth, "ezvsl").summary
    assert found["n_empty_truth"] == 5
