"""A run that is asked to stop by a signal: it saves, has its own exit code, and goes on as if nothing had been."""

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from runs_in_processes import launched, losses, steps_logged, wait_for, write_small
from safetensors.torch import load_file

from manifests.errors import Interrupted
from training.config import load_config
from training.data.stream import TrainingStream
from training.loop.start import start
from training.loop.stopping import stop_on_signals
from training.loop.trainer import Trainer
from training.runs import load_run

STOPPED = 75


@pytest.fixture(scope="module")
def undisturbed(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stopped, of 30 epochs of three steps, in one thread; its config beside it."""
    folder = tmp_path_factory.mktemp("whole")
    config = write_small(folder / "small.yaml", shards, epochs=30)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return start(load_config(config), folder / "runs", "cpu")[0]
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def begun(undisturbed: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen, Path]]:
    """The same run in a process of its own, some steps after its beginning."""
    config = undisturbed.parents[2] / "small.yaml"
    folder = tmp_path / "runs" / undisturbed.relative_to(undisturbed.parents[1])
    process = launched(config, tmp_path / "runs")
    wait_for(lambda: steps_logged(folder) > 4, process)
    yield process, folder
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_the_run_goes_on_with_equal_losses(begun, undisturbed: Path, sent: signal.Signals) -> None:
    process, folder = begun
    process.send_signal(sent)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == STOPPED, errors
    assert f"stopped: the run was asked to stop by {sent.name} and is saved at step" in errors
    assert "Traceback" not in errors
    stopped = steps_logged(folder)
    assert torch.load(folder / "checkpoints/last.pt", weights_only=True)["step"] == stopped < 90
    assert not (folder / "DONE").exists()
    again = launched(undisturbed.parents[2] / "small.yaml", folder.parents[1])
    assert again.wait(timeout=120) == 0
    assert losses(folder) == losses(undisturbed)
    one, two = load_run(folder).method.state_dict(), load_run(undisturbed).method.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_a_second_start_says_who_trains_and_disturbs_nothing(begun, undisturbed: Path) -> None:
    process, folder = begun
    process.send_signal(signal.SIGSTOP)  # on a busy machine it would have ended before the second one has begun
    second = launched(undisturbed.parents[2] / "small.yaml", folder.parents[1])
    errors = second.communicate(timeout=60)[1]
    process.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert f"Another run is writing to {folder}: process {process.pid} on " in errors
    assert process.wait(timeout=120) == 0
    assert losses(folder) == losses(undisturbed)


@pytest.mark.slow
def test_every_epoch_s_end_is_saved(begun) -> None:
    """Five minutes between saves would be more than the whole run takes: what is there, an epoch's end has left."""
    process, folder = begun
    process.send_signal(signal.SIGKILL)
    process.wait()
    step = torch.load(folder / "checkpoints/last.pt", weights_only=True)["step"]
    assert step >= 3
    assert step % 3 == 0
    assert steps_logged(folder) - step <= 3


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "last checkpoint damaged"])
def test_a_run_that_stops_itself_goes_on_with_equal_losses(
    shards: Path, tmp_path: Path, monkeypatch, capsys, damaged: bool
) -> None:
    """In the middle of the second epoch; with a flipped byte in the last checkpoint from the end of the first."""
    config = load_config(write_small(tmp_path / "small.yaml", shards))
    whole, _ = start(config, tmp_path / "whole", "cpu")
    step = Trainer.step

    def signalled(self: Trainer, parts: list) -> object:
        if self.done.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, parts)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "step", signalled)
        with pytest.raises(Interrupted, match="SIGTERM and is saved at step 5 of 6"):
            start(config, tmp_path / "cut", "cpu")
    (last,) = (tmp_path / "cut").rglob("last.pt")
    if damaged:
        content = bytearray(last.read_bytes())
        content[len(content) // 2] ^= 1
        last.write_bytes(content)
    capsys.readouterr()
    folder, _ = start(config, tmp_path / "cut", "cpu")
    assert ("goes on from the checkpoint before" in capsys.readouterr().out) == damaged
    assert losses(folder) == losses(whole)
    one, two = (load_file(each / "weights.safetensors") for each in (folder, whole))
    assert all(torch.equal(one[name], two[name]) for name in one)


def asked_after(seconds: float) -> None:
    """Have this process signalled so much later."""
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_signal_while_clips_are_waited_for_saves_what_is_done(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """As where a storage is silent for minutes: at once, and no reader is waited for."""
    config = load_config(write_small(tmp_path / "small.yaml", shards, workers=workers))
    whole, _ = start(config, tmp_path / "whole", "cpu")
    decode = TrainingStream._decode

    def held_up(self: TrainingStream, sample: dict) -> dict:
        if self.epoch == 1:
            time.sleep(1000)
        return decode(self, sample)

    def batches(self: Trainer) -> Iterator[list]:
        for number, parts in enumerate(every(self), start=1):
            yield parts
            if number == 4:
                time.sleep(1000)

    every, epochs = Trainer._epochs, config.optim.epochs
    assert epochs == 2
    with monkeypatch.context() as patched:
        patched.setattr(*((TrainingStream, "_decode", held_up) if workers else (Trainer, "_epochs", batches)))
        asked_after(SOME_SECONDS)
        begun = time.monotonic()
        said = rf"SIGTERM while it waited for clips of .* and is saved at step {3 if workers else 4} of 6"
        with pytest.raises(Interrupted, match=said):
            start(config, tmp_path / "cut", "cpu")
    gc.collect()
    assert time.monotonic() - begun < SOME_SECONDS + 3
    folder, _ = start(config, tmp_path / "cut", "cpu")
    assert losses(folder) == losses(whole)
    one, two = (load_file(each / "weights.safetensors") for each in (folder, whole))
    assert all(torch.equal(one[name], two[name]) for name in one)


SOME_SECONDS = 4.0  # in which the steps before are taken


@pytest.mark.slow
def test_killed_at_any_step_again_and_again_it_has_equal_losses(undisturbed: Path, tmp_path: Path) -> None:
    """kill -9 at moments that fall where they fall, saves and epochs' ends among them."""
    config, draw = undisturbed.parents[2] / "small.yaml", random.Random(7)
    folder = tmp_path / "runs" / undisturbed.relative_to(undisturbed.parents[1])
    for _ in range(4):
        process, seen = launched(config, tmp_path / "runs", "checkpoint_minutes=0.001"), steps_logged(folder)
        wait_for(lambda seen=seen: steps_logged(folder) != seen, process)
        time.sleep(draw.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert launched(config, tmp_path / "runs").wait(timeout=200) == 0
    assert losses(folder) == losses(undisturbed)


def test_a_signal_in_the_first_second_ends_the_run_in_words(shards: Path, tmp_path: Path) -> None:
    """Slurm's, while torch is imported."""
    process = launched(write_small(tmp_path / "small.yaml", shards, epochs=400), tmp_path / "runs")
    wait_for(lambda: caught(process.pid, signal.SIGUSR1), process)
    process.send_signal(signal.SIGUSR1)
    errors = process.communicate(timeout=60)[1]
    assert (process.returncode, errors.count("\n")) == (STOPPED, 1), errors
    assert errors.startswith("stopped: SIGUSR1 ")


def caught(process: int, number: signal.Signals) -> int:
    """Whether a process has a handler for a signal."""
    (mask,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("SigCgt")]
    return int(mask.split()[1], 16) >> (number - 1) & 1


def test_before_the_first_step_there_is_nothing_to_save() -> None:
    with pytest.raises(Interrupted, match="SIGUSR1 came before the first step"), stop_on_signals():
        signal.raise_signal(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As `nohup` has it with SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as request:
            os.kill(os.getpid(), signal.SIGHUP)
        assert request.name == ""
    finally:
        signal.signal(signal.SIGHUP, before)


READER = """
import os, sys, time
from torch.utils.data import DataLoader, Dataset
from training.data.reader_signals import obey_parent_alone

class Slow(Dataset):
    def __len__(self): return 3
    def __getitem__(self, index):
        if index: time.sleep(1)
        return os.getpid()

items = []
for pid in DataLoader(Slow(), batch_size=None, num_workers=1, worker_init_fn=obey_parent_alone):
    items.append(pid)
    print(pid, flush=True)
print("all", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_reader_dies_of_no_signal_that_was_sent_to_the_whole_job(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", READER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    os.kill(int(process.stdout.readline()), number)
    rest = process.communicate(timeout=60)[0]
    assert rest.splitlines()[-1] == "all"
    assert process.returncode == 0


@pytest.mark.slow
def test_a_reader_that_waits_ends_soon_after_its_parent_was_killed() -> None:
    """Torch's look for their parent between two items alone, and one may wait a minute for a storage."""
    waiting = READER.replace("time.sleep(1)", "time.sleep(1000)")
    process = subprocess.Popen([sys.executable, "-c", waiting], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    reader = int(process.stdout.readline())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{reader}/cmdline").is_file() and Path(f"/proc/{reader}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.1)
