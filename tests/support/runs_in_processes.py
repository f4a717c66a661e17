"""Small runs in processes of their own, alone or under torchrun, to be signalled and killed.

config = write_small(folder / "small.yaml", shards, epochs=30)
process = launched(config, folder / "runs")
wait_for(lambda: steps_logged(run) > 4, process)
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SMALL = """
name: small
method: {{name: ezvsl, temperature: 0.1, dimension: 16}}
data: {{shards: {shards}, image_size: 32, shuffle: 8, workers: {workers}}}
encoders:
  image: {{blocks: [1, 1], width: 16, weights: none}}
  audio: {{blocks: [1, 1], width: 16, input_pool: [4, 3]}}
optim: {{epochs: {epochs}, batch_size: 16, replicas: 2, learning_rate: 1.0e-3}}
log_every: 1
"""


def write_small(path: Path, shards: Path, epochs: int = 2, workers: int = 0) -> Path:
    """A config of three steps an epoch on the made-up clips."""
    path.write_text(SMALL.format(shards=shards, epochs=epochs, workers=workers))
    return path


def launched(
    config: Path, runs: Path, *overrides: str, processes: int = 1, environment: dict[str, str] | None = None
) -> subprocess.Popen:
    """`training run` as a user starts it, with torchrun for several processes; its errors are piped."""
    line = ["-m", "training", "run", str(config), *overrides, "--runs", str(runs), "--device", "cpu"]
    if processes > 1:
        line = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), *line]
    return subprocess.Popen(
        [sys.executable, *line],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
    )


def wait_for(condition: Callable[[], object], process: subprocess.Popen, seconds: float = 120) -> None:
    """Until the condition holds. AssertionError when the process ends first, or nothing happens."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def steps_logged(folder: Path) -> int:
    """Whole lines of a run's log."""
    log = folder / "metrics.jsonl"
    return log.read_text().count("\n") if log.is_file() else 0


def losses(folder: Path) -> list[tuple[int, float]]:
    """Steps and their losses, as logged."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]["total"]) for row in rows]
