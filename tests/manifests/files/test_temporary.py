"""Temporary folders: private, gone with their process however it ends, and never another's while it lives."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from places import PYTHONPATH
from waiting import wait_until

from manifests.errors import WorkFailed
from manifests.files import temporary
from manifests.files.temporary import LOCK, PREFIX, TemporaryFolder, remove_left_behind, temporary_folder

HOLD = """
import os, sys, time
from pathlib import Path
from manifests.files.temporary import TemporaryFolder
folder = TemporaryFolder("tried", Path(sys.argv[1]))
(folder.path / "large").mkdir()
(folder.path / "large" / "piece").write_bytes(bytes(1000))
if sys.argv[2] == "fork" and os.fork():
    os._exit(0)
print(os.getpid(), flush=True)
time.sleep(600)
"""


def has_ended(process: psutil.Process) -> bool:
    """Whether it holds nothing any more; nobody may have asked for its code."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def holder(above: Path, how: str = "alone") -> Iterator[int]:
    """The number of a process that holds a temporary folder, alone or as the fork of the one that made it."""
    line = [sys.executable, "-c", HOLD, str(above), how]
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        number = int(process.stdout.readline())
        try:
            yield number
        finally:
            held = psutil.Process(number)
            held.kill()
            wait_until(lambda: has_ended(held), 20)


def test_a_folder_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), temporary_folder("tried", tmp_path) as folder:  # noqa: PT012
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "inner").mkdir()
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    TemporaryFolder("tried", tmp_path)  # nobody holds the object
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_what_a_killed_process_left_goes_with_the_next_and_a_living_one_keeps_its_own(how: str, tmp_path: Path) -> None:
    with holder(tmp_path, how), temporary_folder("other", tmp_path) as own:
        (held,) = set(tmp_path.iterdir()) - {own}
        assert (held / "large" / "piece").stat().st_size == 1000
    assert list(tmp_path.iterdir()) == [held]  # it was killed, and nobody came after it
    with temporary_folder("other", tmp_path) as own:
        assert list(tmp_path.iterdir()) == [own]


def test_what_is_not_left_behind_stays(tmp_path: Path) -> None:
    """A folder of another machine, another program's, a link, and another user's."""
    elsewhere = tmp_path / f"{PREFIX}elsewhere"
    (elsewhere / "lock-another-machine").mkdir(parents=True)
    (tmp_path / "another-program").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "another-program")
    (tmp_path / "another-program" / LOCK).touch()
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / f"{PREFIX}killed-at-once").mkdir()
    before = set(tmp_path.rglob("*"))
    remove_left_behind(tmp_path)
    assert before - set(tmp_path.rglob("*")) == {tmp_path / f"{PREFIX}killed-at-once"}


def test_another_user_s_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{PREFIX}theirs").mkdir()
    (tmp_path / f"{PREFIX}theirs" / LOCK).touch()
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: os.getuid() + 1)
        remove_left_behind(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    remove_left_behind(tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_that_is_taken_for_left_behind_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def swept(folder: Path, descriptor: int) -> bool:
        if not taken:
            taken.append(folder)
            remove_left_behind(tmp_path)
        return held(folder, descriptor)

    held = temporary._is_held
    monkeypatch.setattr(temporary, "_is_held", swept)
    with temporary_folder("tried", tmp_path) as folder:
        assert folder.is_dir()
        assert list(tmp_path.iterdir()) == [folder] != taken


def test_where_none_can_be_made_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match=r"no temporary folder can be made: .* another place in TMPDIR"):
        TemporaryFolder("tried", tmp_path / "nowhere")
