"""A run copied to another place, without its shards, and used from another folder: every command works on it."""

import json
import shutil
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from manifests.errors import InputError
from pipeline.media.encode import encode_video
from training.cli import app
from training.config import Encoder, load_config
from training.encoders.resnet import ImageTrunk
from training.evaluate import EvaluationRequest, evaluate
from training.loop.start import start
from training.runs import load_run


@pytest.fixture(scope="module")
def copied(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's folder in `there`; shards and prior lay at relative places of `here`, which is gone."""
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    shutil.copytree(shards, here / "shards")
    torch.save(ImageTrunk(Encoder()).state_dict(), here / "prior.pth")
    overrides = (
        "name=tiny", "method.dimension=16", "data.shards=shards", "data.image_size=32", "data.train_list=null",
        "data.exclude_test=[]", "encoders.image.blocks=[1,1]", "encoders.image.weights=none",
        "encoders.audio.blocks=[1,1]", "encoders.audio.input_pool=[4,3]", "optim.epochs=1", "optim.batch_size=16",
        "optim.replicas=1", "evaluation.object_prior={weights: prior.pth}", "evaluation.batch_size=8", "data.workers=0",
    )  # fmt: skip
    with chdir(here):
        folder, _ = start(load_config("ezvsl", overrides), Path("runs"), "cpu")
        shutil.copytree(folder, there / "copy" / "of-s0")
    shutil.rmtree(here)
    return there / "copy" / "of-s0"


@pytest.fixture
def moved(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copied run, seen from the folder it lies in."""
    monkeypatch.chdir(copied.parent.parent)
    return copied


def told(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.exception
    return result.output


def test_localize_needs_nothing_but_the_run(moved: Path, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), dtype=np.uint8)
    encode_video(tmp_path / "clip.mp4", frames, 10, 0.1 * np.ones(22050, np.float32), 11025)
    told("localize", moved, tmp_path / "clip.mp4", "--out", tmp_path / "overlay.mp4", "--device", "cpu")
    assert (tmp_path / "overlay.mp4").stat().st_size > 1000
    assert len(json.loads((tmp_path / "overlay.json").read_text())["moments"]) > 4


def test_a_test_set_that_was_left_behind_is_asked_for(moved: Path) -> None:
    run = load_run(moved)
    wanted = run.config.evaluation.model_copy(update={"truth": Path("synth/vggss.json")})
    run = replace(run, config=run.config.model_copy(update={"evaluation": wanted}))
    with pytest.raises(InputError, match=r"names the test set synth/vggss\.json.*is not there.*--truth FILE"):
        evaluate(run, EvaluationRequest())


def test_evaluate_and_report_take_the_shards_of_now(moved: Path, shards: Path, store, tmp_path: Path) -> None:
    entries = [{"file": key, "class": "c", "bbox": [[0.2, 0.2, 0.7, 0.8]]} for key in store.keys[4::5]]
    (tmp_path / "mine.json").write_text(json.dumps(entries))
    told("evaluate", moved, "--truth", tmp_path / "mine.json", "--test-set", "mine", "--protocol", "ezvsl",
         "--shards", shards, "--device", "cpu")  # fmt: skip
    said = told("report", moved, "--out", tmp_path / "page")
    assert "none: shards, which the run names, is not here; give --shards" in said.replace("\n", " ")
    said = told("report", moved, "--shards", shards, "--out", tmp_path / "page")
    assert "none:" not in said
    assert "<article" in (tmp_path / "page" / "index.html").read_text()


@pytest.mark.parametrize("command", ["export", "localize", "embed", "evaluate"])
@pytest.mark.parametrize("absent", ["data.json", "DONE", "config.yaml"])
def test_a_run_that_was_copied_in_part_is_said(moved: Path, tmp_path: Path, command: str, absent: str) -> None:
    part = tmp_path / "runs" / "part" / "of-s0"
    shutil.copytree(moved, part, ignore=shutil.ignore_patterns(absent, "checkpoints"))
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    words = {"localize": ["localize", part, tmp_path / "clip.mp4"]}.get(command, [command, part])
    result = CliRunner().invoke(app, [*map(str, words), *([] if command == "evaluate" else ["--out", "made.mp4"])])
    assert isinstance(result.exception, InputError), result.exception
    if command != "localize":  # which may find the video unreadable first
        assert "training export" in str(result.exception)
