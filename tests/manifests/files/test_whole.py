"""Files that appear whole or not at all, whoever writes them and whatever goes wrong; one reader of Parquet."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from full_disk import limited_files
from safetensors.torch import save_file

from manifests.errors import InputError, WorkFailed
from manifests.files.parquet import read_row_group, read_table
from manifests.files.whole import (
    publish_folder,
    remove_leftovers,
    whole_file,
    whole_path,
    write_bytes,
    write_text,
)
from manifests.files.whole_folders import alone_at

LARGE = 100_000  # numbers, more than the small disk below takes


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def small_disk() -> Iterator[None]:
    with limited_files(50_000):
        yield


# --- whole or not at all ---------------------------------------------------------------------------------------------


def test_a_file_appears_when_its_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "list.txt"
    write_text(target, "before\n")
    with whole_file(target) as handle:
        handle.write("after, ä\n".encode())
        (hidden,) = (path for path in tmp_path.iterdir() if path != target)
        assert f".{os.getpid()}-" in hidden.name
        assert target.read_text() == "before\n"
    assert target.read_text() == "after, ä\n"
    assert names(tmp_path) == ["list.txt"]


def test_the_users_umask_decides_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o027)
    write_bytes(tmp_path / "x", b"")
    os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "before")
    write = _with_handle(lambda handle: handle.write(b"half") and int("half way"))
    with pytest.raises(ValueError, match="half way"):
        write(tmp_path / "x")
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_text() == "before"


def test_a_hidden_path_has_the_suffix_and_a_name_that_fits(tmp_path: Path) -> None:
    target = tmp_path / f"{'ä' * 120}.npz"
    with whole_path(target) as hidden:
        assert hidden.suffix == ".npz"
        np.savez(hidden, a=np.arange(3))
    assert np.load(target)["a"].tolist() == [0, 1, 2]
    assert len(names(tmp_path)) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from manifests.files.whole import whole_file
with whole_file(Path(sys.argv[1])) as handle:
    handle.write(b"half")
    handle.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_leaves_is_removed(tmp_path: Path) -> None:
    write_text(tmp_path / "x.pt", "before")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "x.pt")], env=environment, check=False)
    assert len(names(tmp_path)) == 2
    (tmp_path / ".x.pt.0123.tmp").touch()  # as the first version named them
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["x.pt"]
    assert (tmp_path / "x.pt").read_text() == "before"


def test_of_one_file_what_killed_writers_left_goes_and_nothing_else(tmp_path: Path) -> None:
    long = "x" * 240
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    for name in ("x[1].mp4", "x[1].mp4.mp4", f"{long}1.mp4", f"{long}2.mp4"):
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], env=environment, check=False)
    others = {".x[1].mp4.0123.tmp", ".x[1].mp4.part", ".x1.mp4.7-0123456789abcdef0123456789abcdef.tmp.mp4"}
    for name in others:
        (tmp_path / name).touch()
    assert len(names(tmp_path)) == 4 + len(others)
    with alone_at(tmp_path / "x[1].mp4", tmp_path / f"{long}1.mp4"):
        assert (tmp_path / ".x[1].mp4.lock").exists()
    left = set(names(tmp_path)) - others
    assert {name.startswith((".x[1].mp4.mp4.", ".xxxx")) for name in left} == {True}
    assert len(left) == 2


def test_a_long_name_is_held_as_any_other(tmp_path: Path) -> None:
    with alone_at(tmp_path / ("ä" * 125)), alone_at(tmp_path / ("ä" * 124)):
        with pytest.raises(InputError, match="Another command is writing"), alone_at(tmp_path / ("ä" * 125)):
            pass
        assert len(names(tmp_path)) == 2


def test_file_then_folder_are_brought_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_text(tmp_path / "x", "content")
    file, folder = synced
    assert Path(file).name.startswith(".x.")
    assert folder == str(tmp_path)


def test_a_folder_is_published_in_place_of_an_older_one(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.npy").touch()
    publish_folder(tmp_path / "new", tmp_path / "old")
    assert names(tmp_path) == ["old"]
    assert names(tmp_path / "old") == ["new.npy"]


# --- what the user is told -------------------------------------------------------------------------------------------


def _with_handle(save: Callable) -> Callable[[Path], None]:
    def write(target: Path) -> None:
        with whole_file(target) as handle:
            save(handle)

    return write


def _safetensors(target: Path) -> None:
    with whole_path(target) as hidden:
        save_file({"a": torch.zeros(LARGE)}, hidden)


WRITERS = {
    "bytes": lambda target: write_bytes(target, bytes(LARGE)),
    "torch": _with_handle(lambda handle: torch.save({"a": torch.zeros(LARGE)}, handle)),
    "numpy": _with_handle(lambda handle: np.savez(handle, a=np.zeros(LARGE))),
    "numpy, one": _with_handle(lambda handle: np.save(handle, np.zeros(LARGE))),
    "parquet": _with_handle(lambda handle: pq.write_table(pa.table({"a": np.random.rand(LARGE)}), handle)),
    "safetensors": _safetensors,
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_is_a_sentence_whichever_library_meets_it(
    tmp_path: Path, small_disk: None, write: Callable[[Path], None]
) -> None:
    write_text(tmp_path / "x", "before")
    with pytest.raises(WorkFailed, match=r"x cannot be written: (File too large|No space left).*free space"):
        write(tmp_path / "x")
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_text() == "before"


def test_a_place_where_nothing_can_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path / "no folder" / "x", tmp_path / "file" / "x"):
        with pytest.raises(InputError, match="x cannot be written"):
            write_text(target, "")


def test_a_folder_in_a_file_s_place_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "x" / "kept").mkdir(parents=True)
    with pytest.raises(InputError, match="x is a folder, where a file is to be written"):
        write_text(tmp_path / "x", "x")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "x"]


def test_a_read_only_folder_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, whom no permission stops."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(InputError, match="Read-only file system"):
        write_text(tmp_path / "x", "")


def test_other_errors_keep_their_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "x"):
        (tmp_path / "another that is read").read_bytes()
    with pytest.raises(InputError, match="mine"), whole_file(tmp_path / "x"):
        raise InputError("mine") from OSError(errno.ENOSPC, "unrelated")


# --- Parquet ---------------------------------------------------------------------------------------------------------


def test_tables_are_read_from_paths_and_handles(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2, 3, 4]})
    with whole_file(tmp_path / "x.parquet") as handle:
        pq.write_table(table, handle, row_group_size=3)
    assert read_table(tmp_path / "x.parquet").equals(table)
    with open(tmp_path / "x.parquet", "rb") as handle:
        assert read_table(handle, table.schema).equals(table)
    assert read_row_group(tmp_path / "x.parquet", 1).to_pydict() == {"a": [4]}


def test_a_schema_decides_form_and_order(tmp_path: Path) -> None:
    with whole_file(tmp_path / "x.parquet") as handle:
        pq.write_table(pa.table({"more": [0], "number": pa.array([7], pa.int64())}), handle)
    schema = pa.schema([("later", pa.string()), ("number", pa.int32())])
    table = read_table(tmp_path / "x.parquet", schema)
    assert (table.schema, table.to_pylist()) == (schema, [{"later": None, "number": 7}])
    with pytest.raises(pa.ArrowInvalid):
        read_table(tmp_path / "x.parquet", pa.schema([("number", pa.list_(pa.string()))]))


def test_reading_starts_no_threads(tmp_path: Path) -> None:
    """A library's thread that outlives the command ends it with exit code 134 now and then."""
    path = tmp_path / "x.parquet"
    columns = {f"c{number}": np.arange(1000) for number in range(30)}
    with whole_file(path) as handle:
        pq.write_table(pa.table(columns), handle, row_group_size=100)
    script = (
        "import os, sys; import pyarrow.parquet; from pathlib import Path\n"
        "from manifests.files.parquet import read_table\n"
        "count = lambda: len(os.listdir('/proc/self/task'))\n"
        "before = count(); read_table(Path(sys.argv[1])); print(count() - before)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", script, str(path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == "0\n"
