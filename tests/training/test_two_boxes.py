"""The proposal-based method asked for two sources, from a made corpus to scores on MUSIC's duets."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from made_duets import write_duets
from shard_maker import MadeClip, write_proposals, write_shards

from training.config import load_config
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.results import Result
from training.loop.start import start
from training.runs import load_run

TRAINED, SHOWN = 8, 6
INSTRUMENTS = [{"normbox": [0, 0, 0.5, 0.5], "category_id": 1}, {"normbox": [0.5, 0.5, 0.5, 0.5], "category_id": 8}]


def proposals(rng: np.random.Generator) -> np.ndarray:
    """Four quarters with no pixel in common, and some regions that overlap them, on eighths of the frame."""
    quarters = [[x, y, x + 4, y + 4] for x in (0, 4) for y in (0, 4)]
    across = [[x, y, x + 3, y + 5] for x, y in rng.integers(0, 4, (5, 2))]
    return rng.permutation(np.array([*quarters, *across]) / 8)


@pytest.fixture(scope="module")
def keys() -> list[str]:
    return [f"clip{number:07d}_000000" for number in range(TRAINED, TRAINED + SHOWN)]


@pytest.fixture(scope="module")
def shards(keys: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips to train on, and to be shown: the last but one has one proposal, the last none."""
    rng, clips = np.random.default_rng(0), []
    for number in range(TRAINED + SHOWN):
        frame = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        audio = rng.normal(-12, 2, (257, 300)).astype(np.float16)
        split = "train" if number < TRAINED else "test"
        clips.append(MadeClip(f"clip{number:07d}_000000", frame, audio, "duet", split))
    folder = write_shards(tmp_path_factory.mktemp("corpus") / "shards", clips, short_side=64)
    boxes = {clip.key: proposals(rng) for clip in clips}
    write_proposals(folder, boxes | {keys[-2]: boxes[keys[-2]][:1], keys[-1]: np.zeros((0, 4))})
    return folder


def evaluated(shards: Path, keys: list[str], folder: Path, sources: int) -> tuple[Result, list[np.ndarray]]:
    """A run that gives so many boxes on duets: its result, and its boxes (n, 4) of each frame in the file beside it."""
    trunk = {"blocks": [1, 1], "width": 8, "weights": "none"}
    content = {
        "name": "two_boxes",
        "method": {"name": "proposal", "dimension": 16, "proposals": 6, "sources": sources},
        "data": {"shards": str(shards), "image_size": 64, "exclude_test": []},
        "encoders": {"image": trunk, "audio": trunk | {"input_pool": [8, 10]}},
        "optim": {"epochs": 1, "batch_size": 8},
        "evaluation": {"batch_size": 4},
    }
    (folder / "two_boxes.yaml").write_text(yaml.safe_dump(content))
    run = load_run(start(load_config(folder / "two_boxes.yaml"), folder / "runs", "cpu")[0])
    names, _ = write_duets(folder, keys, INSTRUMENTS)
    truth, pairs = folder / "duet.json", folder / "music.csv"
    (found,) = evaluate(run, EvaluationRequest(truth=truth, format="music", pairs=pairs, protocols=("boxes",)))
    (path,) = (run.folder / "evaluation").glob("*.maps.npz")
    with np.load(path) as arrays:
        order = [list(arrays["names"]).index(name) for name in names]
        return found, [arrays["predicted_boxes"][arrays["predicted_owner"] == row] for row in order]


def filled(boxes: np.ndarray) -> np.ndarray:
    mask = np.zeros((8, 8), bool)
    for x1, y1, x2, y2 in np.rint(8 * boxes).astype(int):
        mask[y1:y2, x1:x2] = True
    return mask


def test_two_boxes_that_do_not_overlap_are_scored_against_both_instruments(shards, keys, tmp_path: Path) -> None:
    found, boxes = evaluated(shards, keys, tmp_path, sources=2)
    assert [len(own) for own in boxes] == [2, 2, 2, 2, 1, 0]
    instruments = filled(np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]))
    expected = []
    for own in boxes:
        assert filled(own).sum() == sum(filled(one[None]).sum() for one in own)  # no pixel in common
        expected.append((filled(own) & instruments).sum() / (filled(own) | instruments).sum())
    assert found.summary["n_scored"] == found.summary["n_expected"] == SHOWN
    ious = {row["key"].split("/")[0]: row["iou"] for row in found.table.to_pylist() if row["map"] == "audio_visual"}
    assert ious == pytest.approx({f"{key}_0_1000": iou for key, iou in zip(keys, expected, strict=True)})
    assert found.summary["scores"]["audio_visual"]["ciou50"] == np.mean(np.array(expected) >= 0.5)
    assert max(expected) > 0


def test_a_run_for_one_source_gives_its_best_box_alone(shards, keys, tmp_path: Path) -> None:
    _, boxes = evaluated(shards, keys, tmp_path, sources=1)
    assert [len(own) for own in boxes] == [1, 1, 1, 1, 1, 0]
