"""Losses over the whole batch (optim.negatives=global): the same run on any number of processes and hosts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from places import PYTHONPATH
from tiny_run import EZVSL, write_tiny

from manifests.errors import InputError
from training.config import load_config
from training.distributed import Ranks
from training.loop.inputs import open_inputs
from training.loop.start import start
from training.loop.trainer import Trainer, check_replicas

ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.fixture
def write_config(shards: Path, knn: Path, tmp_path: Path) -> Callable[..., Path]:
    def write(norm: str = "local", epochs: int = 2, minutes: float = 5.0) -> Path:
        return write_tiny(
            tmp_path,
            shards,
            method=EZVSL | {"positives": ["own", "both"], "exclude": ["image", "audio", "source"]},
            name="whole",
            data={"neighbours": knn, "colour_jitter": 0.2, "shuffle": 8, "workers": 1},
            optim={"epochs": epochs, "replicas": 4, "learning_rate": 1e-3, "negatives": "global", "batch_norm": norm},
            log_every=1,
            checkpoint_minutes=minutes,
        )

    return write


def losses(folder: Path) -> list[float]:
    (log,) = folder.rglob("metrics.jsonl")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["loss"]["total"] for row in rows]


def test_a_batch_is_joined_with_all_that_belongs_to_it(write_config: Callable[..., Path], tmp_path: Path) -> None:
    """Rows follow the keys; exclusions are between all clips; every replica's draws are its own, as with local ones."""
    config = load_config(write_config())
    inputs = open_inputs(config, ALONE)
    trainer = Trainer(config, tmp_path, inputs.method, inputs.stream, ALONE, inputs.contents)
    parts = next(trainer.batches())
    assert [len(part["key"]) for part in parts] == [4] * 4
    (batch,) = trainer.optimiser_step.contrasted(parts)
    assert batch["key"] == [key for part in parts for key in part["key"]]
    expected = inputs.stream.positives.exclusions(batch["key"])
    assert all(torch.equal(mask, expected[name]) for name, mask in batch["exclusions"].items())
    for replica, part in enumerate(parts):
        trainer.optimiser_step._seed(replica)
        own, rows = trainer.optimiser_step.batches(part), slice(4 * replica, 4 * replica + 4)
        assert torch.equal(batch["image"][rows], own["image"])
        assert torch.equal(batch["neighbours"]["audio"][rows], own["neighbours"]["audio"])


def test_negatives_are_those_of_the_whole_batch(write_config: Callable[..., Path], tmp_path: Path) -> None:
    """Sixteen candidates in place of four: at the first step, where nothing is known yet, ln 16 against ln 4, twice."""
    first = {}
    for negatives in ("local", "global"):
        config = load_config(
            write_config(epochs=1), (f"optim.negatives={negatives}", "method.exclude=[]", "data.workers=0")
        )
        first[negatives] = losses(start(config, tmp_path / negatives, "cpu")[0])[0]
    assert first["global"] - first["local"] == pytest.approx(2 * 1.386, rel=0.3)


def test_statistics_of_parts_that_are_not_there_at_once_are_refused(write_config: Callable[..., Path]) -> None:
    config = load_config(write_config("synchronised"), ("optim.negatives=local",))
    with pytest.raises(InputError, match="needs a process for each replica: there are 4 replicas and 2 processes"):
        check_replicas(config, 2)
    check_replicas(config, 4)
    check_replicas(load_config(write_config("synchronised")), 2)


def launch(path: Path, runs: Path, world: int, *options: str) -> list[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world), *options]
    return [*torchrun, "-m", "training", "run", str(path), "--runs", str(runs), "--device", "cpu"]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PYTHONPATH}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("norm", "epochs"), [("local", 2), ("synchronised", 1)])
def test_any_number_of_processes_has_the_same_losses(
    write_config: Callable[..., Path], tmp_path: Path, norm: str, epochs: int
) -> None:
    """The shards are uneven (30, 7, 1, 25 and 20 clips): nobody waits for a clip that does not come.

    Statistics of several processes are joined in another order of sums, which Adam makes visible after some steps.
    """
    path = write_config(norm, epochs)
    alone = losses(start(load_config(path), tmp_path / "1", "cpu")[0])
    for world in (2, 4):
        subprocess.run(launch(path, tmp_path / str(world), world), check=True, timeout=600, env=ENVIRONMENT)
        assert losses(tmp_path / str(world)) == pytest.approx(alone, rel=2e-3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_rank_is_started_again(write_config: Callable[..., Path], tmp_path: Path) -> None:
    """torchrun --max-restarts: the run goes on from its last checkpoint, and nothing of it differs."""
    path = write_config(epochs=12, minutes=1e-6)
    subprocess.run(launch(path, tmp_path / "whole", 2), check=True, timeout=600, env=ENVIRONMENT)
    undisturbed = losses(tmp_path / "whole")
    log = tmp_path / "log"
    with log.open("w") as out:
        command = launch(path, tmp_path / "killed", 2, "--max-restarts", "2")
        process = subprocess.Popen(command, stdout=out, stderr=out, env=ENVIRONMENT)
    try:
        ranks = wait_for(lambda: started(process.pid) if steps(tmp_path / "killed") > 6 else [])
        os.kill(ranks[-1], signal.SIGKILL)
        stopped = steps(tmp_path / "killed")
        assert process.wait(timeout=600) == 0, log.read_text()
    finally:
        for rank in started(process.pid) if process.poll() is None else []:
            os.kill(rank, signal.SIGKILL)
        process.kill()
    assert stopped < len(undisturbed) - 5
    assert losses(tmp_path / "killed") == pytest.approx(undisturbed, rel=1e-6)


def steps(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.rglob("metrics.jsonl"))


def started(launcher: int) -> list[int]:
    """The ranks that a launcher has started, by number."""
    return sorted(int(pid) for pid in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split())


def wait_for(found: Callable[[], list[int]], seconds: float = 200) -> list[int]:
    deadline = time.monotonic() + seconds
    while not (ready := found()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)
    return ready
