"""The page of a run that answers with boxes: drawn on every card, listed beside it, and scored as what they are."""

import re
from pathlib import Path

import numpy as np
import pytest

from manifests.test_sets import Truth
from training.evaluation.boxes import as_arrays, box_maps
from training.evaluation.tasks import score
from training.report.page import write_report

from .conftest import Invented, make_run, truth_of

CLIPS = 6


@pytest.fixture
def run(tmp_path: Path, scenes) -> Path:
    """The true box, and a smaller second one in the corner; the last clip has none."""
    folder = make_run(tmp_path, scenes[:CLIPS], Invented("proposal"))
    path = folder / "evaluation/synth-vggss.maps.npz"
    with np.load(path) as saved:
        arrays = dict(saved)
    boxes = [np.array([[*scene.annotation.boxes[0], 0.93], [0, 0, 0.1, 0.1, 0.31]]) for scene in scenes[: CLIPS - 1]]
    boxes.append(np.zeros((0, 5)))
    np.savez(path, **arrays, **as_arrays(boxes))
    answers = box_maps(arrays["names"].tolist(), boxes)
    score(answers, Truth("vggss", truth_of(scenes[:CLIPS])), "boxes").write(folder / "evaluation")
    return folder


def test_predicted_boxes_are_drawn_and_listed(run: Path, shards: Path, tmp_path: Path) -> None:
    path, without = write_report([run], shards, tmp_path / "page")
    page = path.read_text()
    assert not without
    for which, number, said in (("", 1, "0.93"), (" second", 2, "0.31")):
        drawn = rf'class="predicted{which}"[^>]*><title>predicted box {number}, score {said}</title>'
        assert len(re.findall(drawn, page)) == CLIPS - 1
        assert len(re.findall(rf"box {number} <b>{said}</b>", page)) == CLIPS - 1
    assert "boxes <b>0.00</b>" in page  # the clip without a box is lost
