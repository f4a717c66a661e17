"""How one of several processes ends: the first says why, the others leave it to torchrun's summary."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from every import for_every
from places import PYTHONPATH

from manifests.commands.endings import ENDING_SIGNALS, LAUNCHERS_FILE, run_to_its_end
from manifests.errors import InputError, WorkFailed


def ended(error: Exception) -> int:
    """The exit code of a command that fails with `error`."""

    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        run_to_its_end(fail)
    return int(str(end.value.code))


@pytest.fixture(params=["0", "1"], ids=["first", "second"])
def rank(request, monkeypatch, tmp_path: Path) -> str:
    monkeypatch.setenv("RANK", request.param)
    monkeypatch.setenv(LAUNCHERS_FILE, str(tmp_path / "error.json"))
    return request.param


@pytest.mark.parametrize(("error", "code"), [(InputError("no such list"), 2), (WorkFailed("no such list"), 1)])
def test_one_line_is_printed_and_all_is_left_to_the_launcher(rank, error, code, tmp_path: Path, capsys) -> None:
    assert ended(error) == code
    kind = "bad input" if code == 2 else "failed"
    printed = capsys.readouterr().err
    assert printed == (f"{kind}: no such list\n" if rank == "0" else "")
    told = json.loads((tmp_path / "error.json").read_text())["message"]["extraInfo"]
    assert told["py_callstack"] == f"{kind}: no such list"
    assert int(told["timestamp"]) > 0


def test_a_defect_is_printed_by_the_first_process_alone(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv(LAUNCHERS_FILE, str(tmp_path / "error.json"))
    assert ended(ZeroDivisionError("of ours")) == 1
    assert capsys.readouterr().err == ""
    assert "ZeroDivisionError: of ours" in (tmp_path / "error.json").read_text()
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ZeroDivisionError):
        run_to_its_end(lambda: 1 / 0)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=str,
)
def test_too_little_memory_is_a_sentence_whoever_says_so(error: Exception, capsys) -> None:
    assert ended(error) == 1
    assert capsys.readouterr().err.startswith("failed: There is not enough memory (")


def test_a_killed_reader_is_a_sentence_wherever_torch_says_so(capsys) -> None:
    """It does so out of a signal's handler."""
    assert ended(RuntimeError("DataLoader worker (pid 68) is killed by signal: Killed. ")) == 1
    assert capsys.readouterr().err.startswith("failed: A process that reads the shards was killed (")


@pytest.mark.parametrize("file", [None, "/nowhere/error.json"])
def test_where_the_launcher_cannot_be_told_every_process_speaks(file, monkeypatch, capsys) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv(LAUNCHERS_FILE, raising=False)
    if file:
        monkeypatch.setenv(LAUNCHERS_FILE, file)
    assert ended(InputError("no such list")) == 2
    assert capsys.readouterr().err == "bad input: no such list\n"


SIGNALLED = """
import atexit, os, sys
from manifests.commands.endings import run_to_its_end
from manifests.errors import InputError, Saved
number, moment, how = int(sys.argv[1]), sys.argv[2], sys.argv[3]

class Late:
    def __del__(self, kill=os.kill, own=os.getpid()):
        kill(own, number)

def command():
    global late
    if moment == "exit functions":
        atexit.register(os.kill, os.getpid(), number)
    else:
        late = Late()
    if how == "signalled":
        os.kill(os.getpid(), number)
    if how == "saved":
        raise Saved("the run is saved")
    if how == "refused":
        raise InputError("no such list")
    print("done")

run_to_its_end(command)
"""


def signalled(number: signal.Signals, moment: str, how: str) -> subprocess.CompletedProcess[str]:
    """How a process ends that is signalled when its command has ended."""
    line = [sys.executable, "-c", SIGNALLED, str(int(number)), moment, how]
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)


@for_every([(number, moment) for number in ENDING_SIGNALS for moment in ("exit functions", "teardown")], str)
def test_a_signal_while_python_ends_changes_nothing(case: tuple[signal.Signals, str]) -> None:
    ended = signalled(*case, "done")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("moment", ["exit functions", "teardown"])
def test_nor_where_the_command_had_failed(moment: str) -> None:
    ended = signalled(signal.SIGTERM, moment, "refused")
    assert (ended.returncode, ended.stderr) == (2, "bad input: no such list\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_nor_where_a_run_has_said_that_it_is_saved(number: signal.Signals) -> None:
    ended = signalled(number, "exit functions", "saved")
    assert (ended.returncode, ended.stderr) == (75, "stopped: the run is saved\n")


def test_what_was_asked_to_stop_ends_at_once_when_it_is_asked_again() -> None:
    ended = signalled(signal.SIGTERM, "exit functions", "signalled")
    assert ended.returncode == -signal.SIGTERM
    assert ended.stderr.startswith("stopped: SIGTERM asked the command to end")
