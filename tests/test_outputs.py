"""No command writes over what it reads, nor over a file of somebody else; over its own earlier output it does."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import typer
from attacked_desk import another_user, run
from commands import Commands
from damaged_tars import equal_shards
from every import for_every

from index import arrays
from index.cli import app as index_app
from index.random_neighbours import build, request
from manifests.errors import InputError
from manifests.files.outputs import check_output, json_with
from pipeline.annotate import annotate
from pipeline.cli import app as pipeline_app
from pipeline.coverage import split_report
from pipeline.ingest import check_own
from pipeline.shards.store import ShardStore
from pipeline.subcommand import is_place, typed_name
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
    "training separate": "tests/training/test_separate.py",
    "training pretrain": "test_pretrain_takes_no_other_file_for_its_own",
}


# Options of text in these commands that are words, never the name of a file or a folder.
WORDS = {
    "moment", "audio", "scheduler", "decoder", "front_end", "image_encoder", "audio_encoder", "split", "device",
    "test_set", "protocol", "view", "blocks", "format", "weights", "licence", "push", "clip", "method",
}  # fmt: skip
APPS = {"pipeline": pipeline_app, "index": index_app, "training": training_app}


@dataclass(frozen=True)
class Written:
    """A command with an output: how its parameters are typed, which must be given, what they hold."""

    name: str
    typed: dict[str, str]
    needed: list[str]
    arguments: list[str]
    kinds: dict[str, set[type]]

    @property
    def read(self) -> list[str]:
        """The parameters that name what is read."""
        return [name for name, kinds in self.kinds.items() if any(is_place(name, kind("x")) for kind in kinds)]

    def line(self, parameter: str | None, place: Path, out: Path) -> list[str]:
        """The command where one parameter names a place; the others that it needs name another file."""
        words = [*self.name.split(), "--out", str(out)]
        given = {each: str(out.with_name("given")) for each in self.needed}
        given |= {parameter: str(place)} if parameter else {}
        for name, value in given.items():
            words += [] if name in self.arguments else [self.typed[name], value]
        return words + [given[name] for name in self.arguments if name in given]


def written() -> Iterator[Written]:
    """Every command with an output."""
    for name, app in APPS.items():
        group = typer.main.get_command(app)
        callbacks = {each.name or each.callback.__name__: each.callback for each in app.registered_commands}
        for each, command in group.commands.items():  # type: ignore[attr-defined]
            parameters = {parameter.name: parameter for parameter in command.params}
            if "out" in parameters:
                hints = get_type_hints(callbacks[each])
                kinds = {key: {Path, str} & set(_inside(hints[key])) for key in parameters}
                needed = [key for key, parameter in parameters.items() if parameter.required]
                arguments = [key for key in parameters if parameters[key].param_type_name == "argument"]
                typed = {key: typed_name(parameter) for key, parameter in parameters.items()}
                yield Written(f"{name} {each}", typed, needed, arguments, kinds)


def _inside(hint: Any) -> Iterator[Any]:
    """The types that make up a type."""
    yield hint
    for each in get_args(hint):
        yield from _inside(each)


def test_commands_that_write_different_things_have_different_default_outputs() -> None:
    of_arrays = "test_folders_of_arrays_replace_their_own_kind_alone"
    defaults = {}
    for name, app in APPS.items():
        for each, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
            written = f"{name} {each}"
            out = next((str(one.default) for one in command.params if one.name == "out" and one.default), written)
            defaults.setdefault(out, []).append(WRITING.get(written, written))
    assert {out for out, kinds in defaults.items() if len(kinds) > 1 and {*kinds} != {of_arrays}} == set()


def test_every_command_with_an_output_has_its_test() -> None:
    assert {command.name for command in written()} == WRITING.keys()
    root = Path(__file__).parents[1]
    for test in WRITING.values():
        assert test in globals() or (root / test).exists()


def test_an_option_of_text_is_a_place_or_a_word() -> None:
    """Whoever adds one to a command with an output says here, or in pipeline/subcommand.py, which of the two it is."""
    unknown = {
        f"{command.name} {name}"
        for command in written()
        for name, kinds in command.kinds.items()
        if str in kinds and Path not in kinds and name not in command.read and name not in WORDS | {"out"}
    }
    assert not unknown


EVERY_INPUT = [(command, name) for command in written() for name in command.read]
WAYS: dict[str, Callable[[Path, Path], object]] = {
    "the name itself": lambda out, place: None,
    "a link": lambda out, place: out.symlink_to(place),
    "a second name": lambda out, place: out.hardlink_to(place),
}


@for_every(
    [(*given, way) for given in EVERY_INPUT for way in WAYS], lambda case: f"{case[0].name}, {case[1]} by {case[2]}"
)
def test_no_command_s_output_is_what_it_reads(case: tuple[Written, str, str], tmp_path: Path) -> None:
    (command, parameter, way), desk = case, Path(tempfile.mkdtemp(dir=tmp_path))
    place, out = desk / "place", desk / "out"
    place.write_text("years of work")
    (desk / "given").write_text("years of work")
    WAYS[way](out, place)
    before = contents(desk)
    ended = run(*command.line(parameter, place, out if out.exists() else place), at=desk)
    assert ended.code == 2, ended
    assert f"is what {command.typed[parameter]} names" in ended.err
    assert contents(desk) == before


SPECIAL: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a name that cannot be used": lambda path: path.symlink_to(path.name),
    "cannot be written": lambda path: path.parent.chmod(0o555),
}


@for_every(list(product(written(), SPECIAL)), lambda case: f"{case[0].name}, {case[1]}")
def test_no_command_begins_where_nothing_can_be_written(case: tuple[Written, str], tmp_path: Path) -> None:
    (command, said), folder = case, Path(tempfile.mkdtemp(dir=tmp_path))
    (folder / "given").write_text("x")
    SPECIAL[said](folder / "out")
    with another_user(folder) if said == "cannot be written" else nullcontext():
        ended = run(*command.line(None, folder, folder / "out"), at=tmp_path)
    folder.chmod(0o755)
    assert ended.code == 2, ended
    assert said in ended.err


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


def test_pretrain_takes_no_other_file_for_its_own(
    tmp_path: Path, untouched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "note.txt").write_text("years of work")
    (tmp_path / "half.safetensors").write_bytes(b"\x10")
    for name in ("note.txt", "half.safetensors"):
        untouched(lambda name=name: check_place(tmp_path / "objects", tmp_path / name))
    ended = Commands(monkeypatch, capsys)("training", "pretrain", "--src", "objects", "--out", "note.txt", cwd=tmp_path)
    assert ended.returncode == 2
    assert "note.txt is there already and was not written by `training pretrain`" in ended.stderr


@pytest.mark.parametrize("kind", ["synthetic", "composed", "collage"])
def test_made_corpora_take_new_or_empty_folders(tmp_path: Path, untouched, kind: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "video.mp4").write_bytes(b"years of work")
    assert "exists and is no" in untouched(lambda: claim(tmp_path / "mine", {"clips": 4}, kind))
    for _ in range(2):
        claim(tmp_path / "new", {"clips": 4}, kind)


FOLDERS = {
    "shards": ("index.json", "manifest.parquet", "rejects.parquet"),
    "shards begun": ("plan/lock",),
    "neighbours": ("image.npy", "audio.npy", "keys.parquet", "meta.json"),
    "corpus": ("options.json", "videos/a.mp4"),
    "run": ("config.yaml", "environment.json", "DONE"),
    "model": ("config.json", "model.safetensors"),
    "clips": ("export.json", "train-0.parquet"),
}
INTO_NEW = [
    ("pipeline", "ingest", "--src", "videos", "--out"),
    ("pipeline", "synth", "--clips", "1", "--out"),
    ("index", "random-knn", "--shards", "own", "--k", "2", "--out"),
    ("pipeline", "export", "--format", "parquet", "--shards", "own", "--out"),
]  # fmt: skip
INTO_ANY = [("training", "run", "whole_image", "--runs")]


@pytest.mark.parametrize("line", [*INTO_NEW, *INTO_ANY], ids=lambda line: " ".join(line[:2]))
def test_a_folder_of_one_kind_gets_nothing_of_another(
    tmp_path: Path, line: tuple[str, ...], untouched, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    equal_shards(tmp_path / "own")
    (tmp_path / "videos").mkdir()
    own = {"ingest": "shards", "synth": "corpus", "export": "clips", "random-knn": "neighbours"}.get(line[1], " ")
    others = {name: files for name, files in FOLDERS.items() if not name.startswith(own)}
    others |= {"another's": ("notes.txt", "thesis.tex")} if line in INTO_NEW else {}
    for name, files in others.items():
        for file in files:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text("{}")
    for name in others:
        before = contents(tmp_path)
        ended = Commands(monkeypatch, capsys)(*line, name, cwd=tmp_path)
        assert (ended.returncode, contents(tmp_path)) == (2, before), (name, ended.stderr)
        said = ("holds", "is there already", "exists")
        assert any(each in ended.stderr for each in said), ended.stderr
        assert name in ended.stderr


@pytest.mark.parametrize("name", FOLDERS)
def test_nor_does_it_get_a_page(tmp_path: Path, untouched, name: str) -> None:
    for file in FOLDERS[name]:
        (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / file).write_text("{}")
    assert "nothing that `training report` wrote" in untouched(lambda: write_report([tmp_path], None, tmp_path / name))


@pytest.mark.parametrize("line", INTO_NEW[1:], ids=lambda line: " ".join(line[:2]))
def test_notes_of_a_system_make_no_folder_anothers(
    tmp_path: Path, line: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    equal_shards(tmp_path / "own")
    for _ in range(2):
        (tmp_path / "out").mkdir(exist_ok=True)
        for name in (".DS_Store", "._index.json", "Thumbs.db"):
            (tmp_path / "out" / name).write_text("of the system")
        ended = Commands(monkeypatch, capsys)(*line, "out", cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr


def test_ingest_goes_on_in_what_it_began() -> None:
    for names in ((), (".DS_Store",), ("plan",), ("plan", "notes.txt"), ("index.json", "manifest.parquet")):
        with tempfile.TemporaryDirectory() as folder:
            for name in names:
                (Path(folder) / name).touch()
            check_own(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "notes.txt").touch()
        with pytest.raises(InputError, match=r"holds notes\.txt, and nothing that `pipeline ingest` wrote"):
            check_own(Path(folder))


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
