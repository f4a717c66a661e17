"""Boxes as answers: the same evaluation as maps, nothing thresholded, listed clip by clip."""

import json
from pathlib import Path

import numpy as np
import pytest

from manifests.annotations import WHOLE, Annotation, TestSet
from manifests.errors import InputError
from manifests.test_sets import Truth
from training.cli import main
from training.evaluation.boxes import as_arrays, box_maps, boxes_by_name
from training.evaluation.metrics.predicted_boxes import matched_iou, pairwise_iou
from training.evaluation.printing import table
from training.evaluation.tasks import score
from training.score_file import asked

TRUTH = [
    {"file": "a", "class": "dog", "bbox": [[0.0, 0.0, 0.5, 0.5]]},
    {"file": "b", "class": "cat", "bbox": [[0.5, 0.5, 1.0, 1.0], [0.0, 0.0, 0.25, 0.25]]},
    {"file": "c", "class": "cat", "bbox": [[0.25, 0.25, 0.75, 0.75]]},
]
BOXES = [
    np.array([[0.0, 0.0, 0.5, 0.5, 0.9]]),
    np.array([[0.5, 0.5, 1.0, 1.0, 0.7], [0.0, 0.0, 0.25, 0.5, 0.2]]),
    np.zeros((0, 5)),
]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    truth, maps = tmp_path / "vggss.json", tmp_path / "maps.npz"
    truth.write_text(json.dumps(TRUTH))
    np.savez(maps, names=np.array(["a", "b", "c"]), **as_arrays(BOXES))
    return maps, truth


@pytest.fixture
def scored(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    """`scored("--boxes")`: what `training score` writes."""

    def run(*options: str) -> dict:
        maps, truth = files
        out = maps.with_name("scores.json")
        given = ["score", "--maps", str(maps), "--truth", str(truth), "--out", str(out), *options]
        monkeypatch.setattr("sys.argv", ["training", *given])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return json.loads(out.read_text())

    return run


def test_a_file_of_boxes_is_scored_without_any_threshold(scored) -> None:
    found = scored("--boxes")
    ious = {row["name"]: row["iou"] for row in found["rows"]}
    assert ious == pytest.approx({"a": 1.0, "b": 5 / 6, "c": 0.0})
    assert found["ciou50"] == pytest.approx(2 / 3)
    assert [row["confidence"] for row in found["rows"]] == pytest.approx([0.9, 0.7, 0.0])
    assert found["protocol"]["name"] == "boxes"
    assert found["ceiling"]["ciou50"] == 1.0
    assert 0 < found["floors"]["centred_disc"]["mean_iou"] < 1


def test_boxes_are_listed_and_matched_one_by_one(scored) -> None:
    block = scored("--protocol", "boxes")["predicted_boxes"]
    assert block["boxes"]["b"][1] == {"box": [0.0, 0.0, 0.25, 0.5], "score": pytest.approx(0.2)}
    assert block["boxes"]["c"] == []
    assert block["audio_visual"]["matched_iou"] == pytest.approx((1 + (1 + 0.5) / 2 + 0) / 3)


def test_clips_whose_boxes_overlap_are_counted_and_named() -> None:
    far = np.array([[0.5, 0.5, 1.0, 1.0, 0.7], [0.0, 0.0, 0.5, 0.5, 0.2]])  # that touch at a corner
    near = np.array([[0.5, 0.5, 1.0, 1.0, 0.7], [0.0, 0.0, 0.6, 0.6, 0.2]])
    clips = tuple(Annotation(key, "dog", ((0.0, 0.0, 0.5, 0.5),)) for key in "abc")
    truth = Truth("vggss", TestSet("made", clips, "made", "0" * 64))
    found = score(box_maps(list("abc"), [far, near, far[:1]]), truth, "boxes").summary
    assert found["predicted_boxes"]["overlapping"] == ["b"]
    assert "box by box, with boxes that overlap in 1 clip" in table(found)


def test_iou_of_boxes_and_their_best_assignment() -> None:
    one = np.array([[0, 0, 1, 1], [0, 0, 0.5, 1], [0.3, 0.3, 0.3, 0.9]])
    assert pairwise_iou(one, one)[0].tolist() == pytest.approx([1.0, 0.5, 0.0])
    annotated = np.array([[0, 0, 0.5, 1], [0, 0, 1, 1]])
    assert matched_iou(one, annotated) == pytest.approx(1.0)
    assert matched_iou(one[:1], annotated) == pytest.approx(0.5)
    assert matched_iou(np.zeros((0, 4)), annotated) == 0.0


def _matched(box: tuple[float, ...], *annotated: tuple[float, ...], shown: tuple[float, ...] = WHOLE) -> float:
    """The matched IoU of one predicted box on a clip with these annotated ones."""
    truth = Truth("vggss", TestSet("made", (Annotation("a", "dog", annotated, shown=shown),), "made", "0" * 64))
    found = score(box_maps(["a"], [np.array([[*box, 0.9]])]), truth, "boxes").summary
    return found["predicted_boxes"]["audio_visual"]["matched_iou"]


def test_boxes_are_matched_within_what_was_shown() -> None:
    half = (0.25, 0.0, 0.75, 1.0)
    assert _matched((0.1, 0.2, 0.9, 0.8), (0.3, 0.2, 0.7, 0.8), shown=half) == pytest.approx(1.0)
    assert _matched((0.0, 0.2, 0.4, 0.8), (0.0, 0.2, 0.45, 0.8), shown=half) == pytest.approx(1.0)
    assert _matched((0.0, 0.2, 0.4, 0.8), (0.0, 0.2, 0.2, 0.8), shown=half) == 0.0


def test_a_dirty_box_takes_nothing_from_its_clip() -> None:
    assert _matched((0.0, 0.2, 0.5, 0.7), (-2.88e16, 0.2, 0.5, 0.7)) == pytest.approx(1.0)
    assert _matched((0.2, 0.2, 0.6, 0.7), (0.3, 0.2, 0.3, 0.7), (0.2, 0.2, 0.6, 0.7)) == pytest.approx(1.0)


def test_boxes_without_area_are_counted() -> None:
    truth = Truth("vggss", TestSet("made", (Annotation("a", "dog", ((0.0, 0.0, 0.5, 0.5),)),), "made", "0" * 64))
    sized = np.array([[0.5, 0.5, 0.2, 0.3, 0.9], [0.1, 0.1, 0.4, 0.4, 0.8]])  # x, y, width, height
    found = score(box_maps(["a"], [sized]), truth, "boxes").summary
    assert found["predicted_boxes"]["without_area"] == 1
    assert "box by box, with 1 box without area" in table(found)


def test_confidence_is_the_highest_score_and_no_box_ranks_below_every_other() -> None:
    def confidences(*scores: float) -> list[float]:
        boxes = [np.array([[0.0, 0.0, 0.5, 0.5, own]]) for own in scores]
        return box_maps(list("abcde")[: len(boxes) + 1], [*boxes, np.zeros((0, 5))]).confidence.tolist()

    assert confidences(-1.0, -5.0, -3.0, 0.2) == [-1.0, -5.0, -3.0, 0.2, -10.0]
    assert confidences(0.9, 0.2) == [0.9, 0.2, 0.0]
    for lowest in (0.0, -1e-300, -3e38):
        assert -np.inf < confidences(0.5, lowest)[-1] < lowest


def test_files_and_boxes_are_the_same_thing() -> None:
    arrays = {"names": np.array(["a", "b", "c"]), **as_arrays(BOXES)}
    assert all(np.array_equal(one, other) for one, other in zip(boxes_by_name(arrays), BOXES, strict=True))
    assert box_maps(["a", "b", "c"], BOXES).maps.sum(axis=(1, 2)).tolist() == [112 * 112, 112 * 112 + 56 * 112, 0]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"predicted_owner": np.array([0, 1, 3])}, "from 0 to 2"),
        ({"predicted_owner": np.array([0.0, 1.0, 1.0])}, "whole numbers"),
        ({"predicted_scores": np.array([1.0])}, "give numbers of shape"),
        ({"predicted_scores": np.array(["a", "b", "c"])}, "predicted_scores is <U1"),
        ({"predicted_boxes": np.full((3, 4), "0.5")}, "predicted_boxes is <U3"),
        ({"predicted_boxes": np.full((3, 4), 0.5j)}, "predicted_boxes is complex128"),
        ({"predicted_owner": np.zeros((3, 1), int)}, "give whole numbers of shape"),
        ({"predicted_boxes": np.full((3, 4), 56.0)}, "A box of a is 56, 56, 56, 56.* may be pixels"),
        ({"predicted_scores": np.full(3, 1e300)}, "Scale all scores"),
        ({"predicted_scores": np.array([1.0, np.nan, 0.0])}, "A box of b"),
    ],
)
def test_boxes_that_cannot_be_used_are_refused(changes: dict, complaint: str) -> None:
    arrays = {"names": np.array(["a", "b", "c"]), **as_arrays(BOXES)} | changes
    with pytest.raises(InputError, match=complaint):
        boxes_by_name(arrays)


def test_boxes_are_not_scored_by_a_rule_for_maps() -> None:
    assert asked(None, boxes=True) == ["boxes"]
    assert asked(None, boxes=False) == ["ezvsl"]
    with pytest.raises(InputError, match="Give one of the two"):
        asked(["ezvsl"], boxes=True)
