"""Processes of a run under torchrun: killed, signalled, left alone by their launcher."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from runs_in_processes import launched, losses, steps_logged, wait_for, write_small
from waiting import wait_until

from manifests.errors import InputError
from training.distributed import ranks
from training.processes import liveness

EPOCHS = 60


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORLD_SIZE", "abc"), ("WORLD_SIZE", "-1"), ("WORLD_SIZE", "9" * 30), ("RANK", "7"), ("RANK", ""),
     ("LOCAL_RANK", "1e3"), ("LOCAL_RANK", "٣"), ("WORLD_SIZE", "2")],
)  # fmt: skip
def test_an_environment_that_no_launcher_made_is_told(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one is a number of processes, and nobody says where they meet."""
    for each in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="torchrun"), ranks("cpu"):
        pass


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a process says as it ends itself, which this one does not. Losses are found in tenths of a second."""
    said: list[str] = []
    monkeypatch.setattr(liveness, "LOOK", 0.02)
    monkeypatch.setattr(liveness, "LOST", 0.2)
    monkeypatch.setattr(liveness, "_end", said.append)
    return said


def never_answers() -> None:
    threading.Event().wait(2)


def test_a_store_that_never_answers_is_lost(ended: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a host whose network was cut: a request of torch's does not return there."""
    monkeypatch.setattr(liveness._Peers, "_connected", lambda self: never_answers())
    with liveness.living_together(0, 2, "start"):
        wait_until(lambda: bool(ended), 2)
    assert re.search(r"The launcher's store has not been heard of .* Process 0 of the run ends", ended[0])


def test_a_launcher_ends_where_its_question_is_not_answered(ended: list[str]) -> None:
    assert liveness.answered(lambda: 3, "The launcher")() == 3
    time.sleep(0.3)
    assert not ended
    liveness.answered(never_answers, "The launcher of the first host")()
    assert re.search(r"The launcher of the first host has not been heard of", ended[0])


def children(pid: int) -> list[int]:
    """Processes that a process has started, and that still run."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(number) for number in found.stdout.split()]


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return not re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except FileNotFoundError:
        return False


@pytest.fixture
def two(shards: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen, list[int], Path]]:
    """torchrun with two processes, some steps after the beginning; their numbers, and the run's folder."""
    config = write_small(tmp_path / "small.yaml", shards, epochs=EPOCHS)
    launcher = launched(config, tmp_path / "runs", processes=2)
    wait_for(lambda: list((tmp_path / "runs").glob("small/*/metrics.jsonl")), launcher)
    (log,) = (tmp_path / "runs").glob("small/*/metrics.jsonl")
    wait_for(lambda: steps_logged(log.parent) > 4, launcher)
    ranks = children(launcher.pid)
    yield launcher, ranks, log.parent
    for pid in (launcher.pid, *ranks):
        if runs(pid):
            os.kill(pid, signal.SIGKILL)
    launcher.wait()


def seconds_until_all_are_gone(pids: list[int], limit: float) -> float:
    began = time.monotonic()
    while any(map(runs, pids)) and time.monotonic() < began + limit:
        time.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.slow
def test_processes_end_within_seconds_of_their_launcher(two) -> None:
    launcher, ranks, folder = two
    assert len(ranks) == 2
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    assert seconds_until_all_are_gone(ranks, 30) < 10
    assert not (folder / "DONE").exists()


@pytest.mark.slow
def test_a_killed_process_ends_the_others_within_a_minute_with_a_sentence(two) -> None:
    launcher, ranks, folder = two
    os.kill(ranks[1], signal.SIGKILL)
    assert seconds_until_all_are_gone(ranks, 90) < 60
    errors = launcher.communicate(timeout=60)[1]
    assert launcher.returncode == 1
    assert re.search(r"failed: another process of the run has ended or cannot be reached .*goes on from what", errors)
    assert not (folder / "DONE").exists()


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_others_within_a_minute_with_a_sentence(two) -> None:
    launcher, ranks, _ = two
    os.kill(ranks[1], signal.SIGSTOP)
    assert seconds_until_all_are_gone(ranks[:1], 90) < 60
    os.kill(ranks[1], signal.SIGCONT)
    assert "has not been heard of for 40 s" in launcher.communicate(timeout=90)[1]


@pytest.mark.slow
@pytest.mark.parametrize("signalled", ["launcher", "one process"])
def test_processes_stop_at_the_same_step_and_go_on_with_equal_losses(two, tmp_path: Path, signalled: str) -> None:
    launcher, ranks, folder = two
    os.kill(launcher.pid if signalled == "launcher" else ranks[1], signal.SIGTERM)
    errors = launcher.communicate(timeout=90)[1]
    said = re.findall(r"^stopped: the run was asked to stop by .* and is saved at step", errors, re.MULTILINE)
    assert len(said) == 1  # by the first of them; the launcher's summary repeats it
    stopped = steps_logged(folder)
    assert torch.load(folder / "checkpoints/last.pt", weights_only=True)["step"] == stopped < 3 * EPOCHS
    for runs_in in ("runs", "whole"):
        assert launched(tmp_path / "small.yaml", tmp_path / runs_in, processes=2).wait(timeout=200) == 0
    (other,) = (tmp_path / "whole").glob("small/*")
    assert losses(folder) == losses(other)
