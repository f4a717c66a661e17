"""Folders that the version before the rooms were moved has made open, and what it left unfinished is continued."""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import Commands
from ingest_here import ingest_here

from index.neighbours import Neighbours
from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.config import load_config
from training.evaluate import EvaluationRequest, evaluate
from training.loop.start import start
from training.runs import load_run

ARCHIVE = Path(__file__).parent / "fixtures/before_rooms/folders.tar.xz"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that version made, in the working directory, as it was for the commands that made it."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command in this process; what it printed."""

    def run(*arguments: str) -> str:
        with ingest_here():
            ended = Commands(monkeypatch, capsys)("pipeline", *arguments, cwd=Path.cwd())
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


def tars(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*.tar"))}


def losses(folder: Path) -> dict[int, float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"]["total"] for row in rows}


def test_shards_open(folders: Path, pipeline: Callable[..., str]) -> None:
    store = ShardStore.open("shards")
    assert len(store) == 5
    for row in range(len(store)):
        assert store.frame(row).shape[0] == 64
        assert store.spectrogram(row).shape == (257, 300)
    assert "5" in pipeline("inspect", "shards")


def test_an_ingest_begun_is_continued_and_its_shard_stays(folders: Path, pipeline: Callable[..., str]) -> None:
    before = tars(folders / "begun")
    assert len(before) == 1
    pipeline("ingest", "--src", "synth/video", "--meta", "synth/vggsound.csv", "--short-side", "64",
             "--shard-clips", "2", "--workers", "1", "--out", "begun")  # fmt: skip
    after = tars(folders / "begun")
    assert before.items() <= after.items()
    assert list(after) == list(tars(folders / "shards"))
    assert ShardStore.open("begun").keys == ShardStore.open("shards").keys


def test_neighbours_open_and_belong_to_the_shards(folders: Path) -> None:
    neighbours = Neighbours.open("knn", ShardStore.open("shards").manifest_sha256)
    assert (len(neighbours), neighbours.k) == (4, 2)


def test_a_finished_run_is_evaluated_and_not_run_again(folders: Path) -> None:
    folder, trained = start(load_config("small.yaml"), Path("finished"), "cpu")
    assert not trained
    assert folder == Path("finished/small/be5dee32-s0")
    evaluation = folder / "evaluation/synth-vggss.ezvsl.json"
    before = json.loads(evaluation.read_text())
    evaluation.unlink()
    (result,) = evaluate(load_run("finished/small"), EvaluationRequest())
    for kind, scores in before["scores"].items():
        for name in ("ciou50", "mean_iou"):
            assert result.summary["scores"][kind][name] == pytest.approx(scores[name], rel=1e-4), (kind, name)


def test_an_interrupted_run_is_continued(folders: Path) -> None:
    begun, whole = Path("interrupted/small/be5dee32-s0"), losses(Path("finished/small/be5dee32-s0"))
    before = losses(begun)
    assert list(before) == [1, 2, 3, 4, 5, 6]
    folder, trained = start(load_config("small.yaml"), Path("interrupted"), "cpu")
    assert (folder, trained) == (begun, True)
    after = losses(folder)
    assert {step: after[step] for step in range(1, 6)} == {step: before[step] for step in range(1, 6)}
    assert list(after) == list(whole)
    np.testing.assert_allclose(list(after.values()), list(whole.values()), rtol=1e-3)
    assert load_run(folder).folder == folder


def test_a_run_moved_away_from_its_shards_is_told_of_them(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run begun today carries its object prior's weights; an older one needs the file where it was."""
    folder, _ = start(load_config("small.yaml"), Path("fresh"), "cpu")
    elsewhere = folders / "elsewhere"
    shutil.copytree(folder, elsewhere / "run")
    monkeypatch.chdir(elsewhere)
    run = load_run("run")
    with pytest.raises(InputError, match=r"trained on the shards in shards.*--shards FOLDER"):
        evaluate(run, EvaluationRequest(truth=folders / "synth/vggss.json"))
    request = EvaluationRequest(truth=folders / "synth/vggss.json", shards=folders / "shards", protocols=("ezvsl",))
    (result,) = evaluate(run, request)
    assert {"audio_visual", "object_prior", "combined"} <= set(result.summary["scores"])
