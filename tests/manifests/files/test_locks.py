"""One writer for a folder: another process, one that was killed, a forked child, a disk without locks."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from manifests.errors import InputError
from manifests.files import locks
from manifests.files.locks import held

REMEDY = "Wait for it."
HOLDER = """
import os, sys, time
from pathlib import Path
from manifests.files.locks import held
folder = Path(sys.argv[1])
with held(folder / "lock", folder, "run", ""):
    if sys.argv[2:] and not os.fork():
        print(os.getpid(), flush=True)
    elif not sys.argv[2:]:
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def holding(folder: Path, *arguments: str) -> tuple[subprocess.Popen, int]:
    """A process that holds the folder, and the number that it printed."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, folder, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def held_by_us(folder: Path):
    return held(folder / "lock", folder, "run", REMEDY)


def test_a_second_process_is_told_who_holds_it_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    process, number = holding(tmp_path)
    told = rf"Another run is writing to {tmp_path}: process {number} on \S+, since 2\d\d\d-.*\. Wait for it\."
    with pytest.raises(InputError, match=told), held_by_us(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with held_by_us(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("lost_while", ["made", "opened"])
def test_a_folder_that_another_process_removes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, lost_while: str
) -> None:
    """It was refused, and the folder that it had made was empty."""
    folder, removals = tmp_path / "new" / "inner", iter(range(times))
    module, name = {"made": (Path, "is_dir"), "opened": (os, "open")}[lost_while]
    real = getattr(module, name)

    def removing(path: Path | str, *given: int) -> object:
        if folder in (Path(path), Path(path).parent) and os.path.isdir(folder) and next(removals, None) is not None:
            folder.rmdir()
            folder.parent.rmdir()
        return real(path, *given)

    if lost_while == "made":
        folder.mkdir(parents=True)
    monkeypatch.setattr(module, name, removing)
    with held_by_us(folder):
        assert (folder / "lock").is_file()


def test_who_looks_at_a_lock_keeps_nobody_from_it(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    looks = os.open(tmp_path / "lock", os.O_RDONLY)  # as `last_holder` does, for longer than it takes
    fcntl.flock(looks, fcntl.LOCK_SH)
    end = threading.Timer(0.03, os.close, [looks])
    end.start()
    with held_by_us(tmp_path):
        pass
    end.join()


def test_a_child_that_outlives_the_holder_holds_nothing(tmp_path: Path) -> None:
    process, child = holding(tmp_path, "fork")
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.kill(child, 0)  # it is there
    with held_by_us(tmp_path):
        os.kill(child, signal.SIGKILL)


def test_it_is_let_go_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held_by_us(tmp_path):
        raise ZeroDivisionError
    with held_by_us(tmp_path):
        pass


def test_what_is_refused_leaves_no_folder_and_no_folder_of_others_goes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="refused"), held_by_us(tmp_path / "new" / "plan"):
        raise InputError("refused")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    with held_by_us(tmp_path / "mine" / "plan"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]
    with held_by_us(tmp_path / "kept" / "plan"):
        (tmp_path / "kept" / "shard.tar").write_bytes(b"")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "mine", "shard.tar"]


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), held(tmp_path / "file/x/lock", tmp_path, "run", ""):
        pass


def link_to_work(lock: Path) -> None:
    (lock.parent / "work.txt").write_text("years of work")
    lock.symlink_to("work.txt")


def second_name_of_work(lock: Path) -> None:
    (lock.parent / "work.txt").write_text("years of work")
    lock.hardlink_to(lock.parent / "work.txt")


STRANGE = [
    link_to_work, second_name_of_work, os.mkfifo, Path.mkdir, lambda lock: lock.write_text("years of work"),
    lambda lock: lock.symlink_to(lock), lambda lock: lock.symlink_to("/dev/zero"),
]  # fmt: skip


@pytest.mark.parametrize("make", STRANGE)
def test_what_is_no_lock_is_never_written_to(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "lock")
    with pytest.raises(InputError, match="is no lock of this program"), held_by_us(tmp_path):
        pass
    others = [path for path in tmp_path.iterdir() if path.is_file()]
    assert all(path.read_text() == "years of work" for path in others)


def test_a_note_that_a_full_disk_cut_off_holds_nothing(tmp_path: Path) -> None:
    for content in (b"", b'{"host": "node', b'{"host": ' + b"[" * 9_000, b'{"host"' + bytes(99_999)):
        (tmp_path / "lock").write_bytes(content)
        with held_by_us(tmp_path):
            pass


def no_locks(*given: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life every fifth of a second."""
    monkeypatch.setattr(locks, "BEAT", 0.2)
    monkeypatch.setattr(locks, "WATCHED", 0.8)


@pytest.mark.usefixtures("quick")
def test_a_disk_without_locks_goes_by_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with held_by_us(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()} on"), held_by_us(tmp_path):
        pass
    (tmp_path / "lock").write_text(json.dumps({"host": "node7", "pid": 1, "token": "x", "beat": 5}))
    with held_by_us(tmp_path):  # that one is dead
        pass


@pytest.mark.usefixtures("quick")
def test_a_lock_that_another_machine_does_not_see_is_noticed(tmp_path: Path) -> None:
    """The note of another machine, whose number goes up although its lock is free here."""
    note = {"host": "node7", "pid": 17, "since": "today", "token": "x"}
    (tmp_path / "lock").write_text(json.dumps(note))
    writer = "import json, sys, time\nfor beat in range(100):\n"
    writer += f"    open(sys.argv[1], 'w').write(json.dumps({note} | dict(beat=beat)))\n    time.sleep(0.1)"
    process = subprocess.Popen([sys.executable, "-c", writer, tmp_path / "lock"])
    time.sleep(0.3)
    try:
        with pytest.raises(InputError, match="process 17 on node7, since today"), held_by_us(tmp_path):
            pass
    finally:
        process.kill()
        process.wait()
    with held_by_us(tmp_path):
        pass
