"""`training run` repeated after what the run was made from has moved: said to be finished, and nothing is opened."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from shard_maker import write_shards
from tiny_run import write_tiny

from manifests.errors import InputError
from training.config import load_config
from training.evaluate import EvaluationRequest, evaluate
from training.loop.start import start
from training.runs import load_run

from ..conftest import made_clip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    clips = [made_clip(number, rng) for number in range(40)]
    write_shards(tmp_path / "shards", clips, short_side=64)
    (tmp_path / "list.txt").write_text("\n".join(clip.key for clip in clips[:30]))
    entries = [{"file": clip.key, "class": "c", "bbox": [[0, 0, 0.7, 0.9]]} for clip in clips[30:]]
    (tmp_path / "test.json").write_text(json.dumps(entries))
    data = {"lists": tmp_path, "exclude_test": [], "train_list": tmp_path / "list.txt"}
    evaluation = {"truth": tmp_path / "test.json", "test_set": "boxes", "protocols": ["ezvsl"]}
    return write_tiny(tmp_path, tmp_path / "shards", data=data, evaluation=evaluation)


@pytest.fixture
def finished(config: Path, tmp_path: Path) -> Path:
    folder, trained = start(load_config(config), tmp_path / "runs", "cpu")
    assert trained
    return folder


@pytest.mark.parametrize("gone", [("shards",), ("list.txt",), ("shards", "list.txt", "test.json")])
def test_a_finished_run_is_left_alone(gone, finished: Path, config: Path, tmp_path: Path, capsys) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    for name in gone:
        (tmp_path / name).rename(tmp_path / f"moved-{name}")
    assert start(load_config(config), tmp_path / "runs", "cpu") == (finished, False)
    said = capsys.readouterr().out
    assert f"{finished} is this run, by its settings" in said
    assert all(str(tmp_path / name) in said for name in gone if name != "test.json")
    assert {path.name: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_other_evaluation_settings_are_taken_over_or_refused(finished: Path, config: Path, tmp_path: Path) -> None:
    moved = (tmp_path / "shards").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"evaluation\.protocols: .*Did you mean ezvsl"):
        start(load_config(config, ("evaluation.protocols=[ezvls]",)), tmp_path / "runs", "cpu")
    other = load_config(config, ("evaluation.protocols=[lvs]", "evaluation.view=centre_crop"))
    assert start(other, tmp_path / "runs", "cpu") == (finished, False)
    (result,) = evaluate(load_run(finished), EvaluationRequest(shards=moved))
    assert (result.summary["protocol"]["name"], result.summary["protocol"]["view"]) == ("lvs", "centre_crop")


@pytest.mark.parametrize("override", ["optim.epochs=2", "seed=1", "data.shards=others", "method.temperature=0.2"])
def test_another_run_needs_its_shards(override: str, finished: Path, config: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="There is no shard folder"):
        start(load_config(config, (override,)), tmp_path / "runs", "cpu")


def test_shards_that_are_there_are_compared(finished: Path, config: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "shards")
    rng = np.random.default_rng(1)
    write_shards(tmp_path / "shards", [made_clip(number, rng) for number in range(50)], short_side=64)
    folder, trained = start(load_config(config), tmp_path / "runs", "cpu")
    assert trained
    assert folder != finished
    (tmp_path / "shards").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="There is no shard folder"):  # two finished runs could be meant
        start(load_config(config), tmp_path / "runs", "cpu")
