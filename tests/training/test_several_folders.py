"""A run that is trained on two shard folders together: neighbours, evaluation, embeddings and the page read both."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shard_maker import write_shards
from tiny_run import EZVSL, write_tiny
from typer.testing import CliRunner

from manifests.errors import InputError
from pipeline.shards.joined import open_shards
from training.cli import app
from training.config import load_config
from training.data.stream import TrainingStream
from training.evaluate import EvaluationRequest, evaluate
from training.loop.start import start
from training.report.page import write_report
from training.runs import load_run

from .conftest import made_clip


def index(*words: object) -> str:
    """`index` in a process of its own: FAISS and torch do not share one."""
    line = [sys.executable, "-c", "from index.cli import main; main()", *map(str, words)]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """45 clips in two tars and 25 in one, of which every fifth is a test clip."""
    place, rng = tmp_path_factory.mktemp("pieces"), np.random.default_rng(0)
    clips = [made_clip(number, rng) for number in range(70)]
    first = write_shards(place / "first", clips[:45], [20, 25], short_side=64)
    return first, write_shards(place / "second", clips[45:], short_side=64)


@pytest.fixture(scope="module")
def knn(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("near")
    first, second = folders
    out = ("--out", place / "embeddings")
    assert "56 of 70 in the shards" in index("embed", "--shards", first, "--shards", second, *out)
    assert "nothing to do" in index("embed", "--shards", second, "--shards", first, *out)
    shards = ("--shards", second, "--shards", first, "--embeddings", place / "embeddings")
    assert "made from" in index("build-knn", "--k", 5, *shards, "--out", place / "knn")
    return place / "knn"


@pytest.fixture
def config(folders: tuple[Path, Path], knn: Path, tmp_path: Path) -> Path:
    method = EZVSL | {"positives": ["own", "both"]}
    data = {"neighbours": knn, "exclude_test": [], "lists": tmp_path}
    return write_tiny(tmp_path, folders, method, name="both", data=data, evaluation={"batch_size": 8})


def test_both_are_trained_on_and_evaluated_from(config: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    folder, trained = start(load_config(config), tmp_path / "runs", "cpu")
    assert trained
    keys = (folder / "training_clips.txt").read_text().split()
    assert {key for store in map(open_shards, folders) for key in store.keys} > set(keys)
    assert min(sum(key in open_shards(one) for key in keys) for one in folders) > 10
    first, second = folders
    swapped = load_config(config, (f"data.shards=[{second},{first}]",))
    assert start(swapped, tmp_path / "runs", "cpu") == (folder, False)
    entries = [{"file": key, "class": "c", "bbox": [[0.2, 0.2, 0.7, 0.8]]} for key in open_shards(folders).keys[4::5]]
    (tmp_path / "mine.json").write_text(json.dumps(entries))
    request = EvaluationRequest(truth=tmp_path / "mine.json", test_set="mine", protocols=("ezvsl",))
    (result,) = evaluate(load_run(folder), request)
    assert result.summary["n_scored"] == len(entries) == 14
    assert result.summary["lists"]["shards"]["sha256"] == open_shards(folders).manifest_sha256
    page, without = write_report([folder], None, tmp_path / "page")
    assert not without
    assert page.read_text().count("<article") == 14

    places = [shutil.copytree(one, tmp_path / f"moved {one.name}") for one in folders]
    stored = (folder / "config.yaml").read_text()
    for one in folders:
        stored = stored.replace(str(one), str(one) + "-gone")
    (folder / "config.yaml").write_text(stored)
    line = ["embed", str(folder), "--out", str(tmp_path / "embeddings"), "--device", "cpu"]
    refused = CliRunner().invoke(app, line)
    assert isinstance(refused.exception, InputError)
    assert "first-gone" in str(refused.exception)
    assert "--shards FOLDER once for each" in str(refused.exception)
    done = CliRunner().invoke(app, [*line, "--shards", str(places[1]), "--shards", str(places[0])])
    assert done.exit_code == 0, done.exception
    meta = json.loads((tmp_path / "embeddings" / "meta.json").read_text())
    assert (meta["count"], meta["manifest_sha256"]) == (len(keys), open_shards(folders).manifest_sha256)


def test_an_epoch_meets_the_clips_of_both(config: Path, folders: tuple[Path, Path]) -> None:
    from training.data.order import Streams

    store, data = open_shards(folders), load_config(config).data
    stream = TrainingStream(store, data, np.ones(len(store), bool), Streams(10, 1, 1), 0, range(1), None)
    met = [key for (part,) in stream for key in part["key"]]
    assert sorted(met) == sorted(store.keys)
    assert len(met) == 70


def test_a_clip_in_both_is_said_before_the_first_step(config: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    both = shutil.copytree(folders[0], tmp_path / "again")
    with pytest.raises(InputError, match=r"data\.shards: The clip .* is both in .*first and in .*again"):
        start(load_config(config, (f"data.shards=[{folders[0]},{both}]",)), tmp_path / "runs", "cpu")
    assert not (tmp_path / "runs").exists()


def test_neighbours_of_one_are_refused_for_both(config: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    index("embed", "--shards", folders[0], "--out", tmp_path / "one")
    index("build-knn", "--k", 5, "--shards", folders[0], "--embeddings", tmp_path / "one", "--out", tmp_path / "knn")
    with pytest.raises(InputError, match="neighbours built from other shards"):
        start(load_config(config, (f"data.neighbours={tmp_path / 'knn'}",)), tmp_path / "runs", "cpu")


def test_the_config_of_one_folder_reads_as_before() -> None:
    data = load_config("ezvsl", ("data.shards=elsewhere",)).data
    assert data.shards == Path("elsewhere")
    assert data.model_dump(mode="json")["shards"] == "elsewhere"
    for wrong in ("[]", "3", "[a, 3]", "null"):
        with pytest.raises(InputError, match=r"1 mistake:\n  data\.shards: a folder, or a list of folders.*\(given: "):
            load_config("ezvsl", (f"data.shards={wrong}",))
    several = load_config("ezvsl", ("data.shards=[a, b]",))
    assert several.data.model_dump(mode="json")["shards"] == ["a", "b"]
    assert type(several).model_validate(several.model_dump(mode="json")) == several
