"""No command writes over what it reads, nor over a file of somebody else; over its own earlier output it does."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from damaged_tars import equal_shards

from index import arrays
from index.cli import app as index_app
from index.random_neighbours import build, request
from manifests.errors import InputError
from manifests.outputs import check_output, json_with
from pipeline.annotate import annotate
from pipeline.cli import app as pipeline_app
from pipeline.coverage import split_report
from pipeline.shards.store import ShardStore
from pipeline.synth.folder import claim
from training.cli import app as training_app
from training.localize import command as localize_command
from training.localize.options import Options
from training.pretrain import check_place
from training.report.page import write_report
from training.score_file import score_file

# Every command that is told where to write, and the test (here or elsewhere) of what it does with what is there.
WRITING = {
    "pipeline ingest": "tests/pipeline/test_ingest.py",
    "pipeline export": "tests/pipeline/exchange/test_export.py",
    "index export": "tests/index/test_exchange.py",
    "training export": "tests/training/export/test_folder.py",
    "pipeline splits": "test_splits_keeps_its_lists",
    "pipeline synth": "test_made_corpora_take_new_or_empty_folders",
    "pipeline collage": "test_made_corpora_take_new_or_empty_folders",
    "pipeline compose": "test_made_corpora_take_new_or_empty_folders",
    "index embed": "test_folders_of_arrays_replace_their_own_kind_alone",
    "index build-knn": "test_folders_of_arrays_replace_their_own_kind_alone",
    "index random-knn": "test_folders_of_arrays_replace_their_own_kind_alone",
    "training score": "test_score_keeps_what_it_reads",
    "training embed": "test_folders_of_arrays_replace_their_own_kind_alone",
    "training report": "test_report_keeps_another_page",
    "training localize": "test_localize_keeps_what_lies_beside_its_output",
    "training pretrain": "test_pretrain_takes_no_other_file_for_its_own",
}


def commands(name: str, app: typer.Typer) -> Iterator[tuple[str, list[str]]]:
    """Every subcommand with its options."""
    group = typer.main.get_command(app)
    for each, command in group.commands.items():  # type: ignore[attr-defined]
        yield f"{name} {each}", [parameter.name for parameter in command.params]


def test_every_command_with_an_output_has_its_test() -> None:
    apps = {"pipeline": pipeline_app, "index": index_app, "training": training_app}
    every = [one for name, app in apps.items() for one in commands(name, app)]
    assert {name for name, options in every if "out" in options} == WRITING.keys()
    root = Path(__file__).parents[1]
    for test in WRITING.values():
        assert test in globals() or (root / test).exists()


def contents(folder: Path) -> dict[str, str]:
    """Every file below, with its digest."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def untouched(tmp_path: Path) -> Callable[[Callable[[], object]], str]:
    """Runs what must be refused; what is said, when no file was changed or made."""

    def refuse(work: Callable[[], object]) -> str:
        before = contents(tmp_path)
        with pytest.raises(InputError) as error:
            work()
        assert contents(tmp_path) == before
        return str(error.value)

    return refuse


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_an_input_is_known_through_links(tmp_path: Path, link: Callable[[Path, Path], None], untouched) -> None:
    (tmp_path / "truth.json").write_text("{}")
    link(tmp_path / "truth.json", tmp_path / "out.json")
    given = {"--truth": tmp_path / "truth.json"}
    said = untouched(lambda: check_output(tmp_path / "out.json", given, lambda _: True, "x"))
    assert "is what --truth names" in said


def test_its_own_output_may_be_written_over(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text('{"a": 1, "b": 2}')
    check_output(tmp_path / "out.json", {"--truth": None}, json_with("a", "b"), "x")
    check_output(tmp_path / "new.json", {"--truth": [tmp_path / "out.json"]}, json_with("a", "b"), "x")
    with pytest.raises(InputError, match="was not written by `x`"):
        check_output(tmp_path / "out.json", {}, json_with("a", "c"), "x")


def write_maps_and_truth(folder: Path) -> None:
    keys = [f"clip{number:07d}_000000" for number in range(4)]
    np.savez(folder / "maps.npz", names=np.array(keys), maps=np.random.default_rng(0).random((4, 7, 7), np.float32))
    entries = [{"file": key, "class": "a", "bbox": [[0.1, 0.1, 0.5, 0.5]]} for key in keys]
    (folder / "vggss.json").write_text(json.dumps(entries))


@pytest.mark.parametrize("out", ["vggss.json", "maps.npz", "note.txt"])
def test_score_keeps_what_it_reads(tmp_path: Path, untouched, out: str) -> None:
    write_maps_and_truth(tmp_path)
    (tmp_path / "note.txt").write_text("years of work")

    def work(name: str) -> object:
        return score_file(tmp_path / "maps.npz", tmp_path / "vggss.json", "vggss", "ezvsl", tmp_path / name)

    untouched(lambda: work(out))
    work("scores.json")
    work("scores.json")


def test_splits_keeps_its_lists(tmp_path: Path, untouched) -> None:
    (tmp_path / "mine.txt").write_text("clip0000001_000000\n")
    (tmp_path / "test.txt").write_text("clip0000002_000000\n")
    mine, test = str(tmp_path / "mine.txt"), str(tmp_path / "test.txt")
    untouched(lambda: split_report([mine], None, [test], tmp_path, tmp_path / "mine.txt"))
    untouched(lambda: split_report([mine], None, [test], tmp_path, tmp_path / "test.txt"))
    for _ in range(2):
        split_report([mine], None, [test], tmp_path, tmp_path / "report.json")


def test_localize_keeps_what_lies_beside_its_output(tmp_path: Path, untouched) -> None:
    write_maps_and_truth(tmp_path)
    for name in ("video.mp4", "other.mp4"):
        (tmp_path / name).write_bytes(b"a video")

    def localize(run: Path, video: Path, out: Path) -> None:
        localize_command.localize(Options(run, (video,), out))

    said = untouched(lambda: localize(tmp_path, tmp_path / "video.mp4", tmp_path / "vggss.mp4"))
    assert "vggss.json is there already and was not written by `training localize`" in said
    assert "is what VIDEO names" in untouched(
        lambda: localize(tmp_path, tmp_path / "video.mp4", tmp_path / "video.mp4")
    )
    assert "not written by" in untouched(lambda: localize(tmp_path, tmp_path / "video.mp4", tmp_path / "other.mp4"))


def test_report_keeps_another_page(tmp_path: Path, untouched) -> None:
    (tmp_path / "index.html").write_text("<title>My site</title>")
    assert "index.html is there already" in untouched(lambda: write_report([tmp_path], None, tmp_path))


def test_pretrain_takes_no_other_file_for_its_own(tmp_path: Path, untouched) -> None:
    (tmp_path / "note.txt").write_text("years of work")
    (tmp_path / "half.safetensors").write_bytes(b"\x10")
    for name in ("note.txt", "half.safetensors"):
        untouched(lambda name=name: check_place(tmp_path / "objects", tmp_path / name))
    line = [sys.executable, "-m", "training", "pretrain", "--src", "objects", "--out", "note.txt"]
    command = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert command.returncode == 2
    assert "note.txt is there already and was not written by `training pretrain`" in command.stderr


@pytest.mark.parametrize("kind", ["synthetic", "composed", "collage"])
def test_made_corpora_take_new_or_empty_folders(tmp_path: Path, untouched, kind: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "video.mp4").write_bytes(b"years of work")
    assert "exists and is no" in untouched(lambda: claim(tmp_path / "mine", {"clips": 4}, kind))
    for _ in range(2):
        claim(tmp_path / "new", {"clips": 4}, kind)


def test_annotate_keeps_another_table(tmp_path: Path) -> None:
    folder = equal_shards(tmp_path / "shards", (4,))
    (folder / "truth.parquet").write_bytes(b"another table")
    (tmp_path / "vggss.json").write_text(
        json.dumps([{"file": "clip000", "class": "a", "bbox": [[0.1, 0.1, 0.5, 0.5]]}])
    )
    with pytest.raises(InputError, match=r"truth\.parquet is there already"):
        annotate(folder, tmp_path / "vggss.json", "vggss")
    (folder / "truth.parquet").unlink()
    for _ in range(2):
        annotate(folder, tmp_path / "vggss.json", "vggss")


def test_folders_of_arrays_replace_their_own_kind_alone(tmp_path: Path, untouched) -> None:
    store = ShardStore.open(equal_shards(tmp_path / "shards"))
    for _ in range(2):
        wanted = request(2, 0, "train", store.manifest_sha256)
        build(store.table, wanted, tmp_path / "knn", lambda _: None)
    arrays.check_replaceable(tmp_path / "new", arrays.EMBEDDINGS)
    (tmp_path / "empty").mkdir()
    arrays.check_replaceable(tmp_path / "empty", arrays.EMBEDDINGS)
    for name in ("image.npy", "meta.json"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_text("{}")
        untouched(lambda: arrays.check_replaceable(tmp_path / "mine", arrays.NEIGHBOURS))
    for name, kind in (("knn", arrays.EMBEDDINGS), ("shards", arrays.NEIGHBOURS)):
        said = untouched(lambda name=name, kind=kind: arrays.check_replaceable(tmp_path / name, kind))
        assert "was not written by `index" in said
    said = untouched(
        lambda: arrays.check_replaceable(tmp_path / "knn", arrays.NEIGHBOURS, {"--embeddings": tmp_path / "knn"})
    )
    assert "is what --embeddings names" in said


@pytest.mark.parametrize("line", [("index", "embed"), ("index", "random-knn", "--k", "2")], ids=" ".join)
def test_the_commands_of_the_index_ask_before_they_work(tmp_path: Path, line: tuple[str, ...]) -> None:
    equal_shards(tmp_path / "shards")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "image.npy").write_bytes(b"years of work")
    before = contents(tmp_path)
    code = f"from {line[0]}.cli import main; main()"
    command = [sys.executable, "-c", code, *line[1:], "--out", "mine"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "mine is there already" in done.stderr
    assert contents(tmp_path) == before
