"""Short training runs of the real loop, for the benchmarks that compare or time them."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.step.sizes import Sizes
from training.config import RunConfig
from training.distributed import Ranks, repeatable_arithmetic
from training.loop.inputs import open_inputs
from training.loop.start import start
from training.loop.trainer import Trainer


def described(sizes: Sizes, shards: Path, method: dict[str, Any], **sections: dict[str, Any]) -> RunConfig:
    """A run of a method on the check's corpus; sections of the config lie over what all have in common."""
    common: dict[str, dict[str, Any]] = {
        "data": {"shards": str(shards), "image_size": sizes.image_size, "exclude_test": [], "shuffle": 1000},
        "encoders": {"image": {"blocks": list(sizes.blocks), "weights": "none"},
                     "audio": {"blocks": list(sizes.blocks)}},
        "optim": {"epochs": 1, "batch_size": sizes.batch, "learning_rate": 1e-4},
        "compute": {"resident": "never", "compile": "never"},
    }  # fmt: skip
    merged = {name: {**common.get(name, {}), **sections.get(name, {})} for name in common.keys() | sections.keys()}
    return RunConfig.model_validate({"name": "check", "method": method, "log_every": 1, **merged})


def losses_of(config: RunConfig, device: str) -> list[float]:
    """Train the run from its first step; the total loss of every step."""
    with tempfile.TemporaryDirectory() as runs:
        folder, _ = start(config, Path(runs), device)
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"]["total"] for row in rows]


def trainer_of(config: RunConfig, device: str, folder: Path) -> Trainer:
    """A trainer at its first step, for parts that take single steps."""
    process = Ranks(0, 1, torch.device(device, 0) if device == "cuda" else torch.device(device))
    repeatable_arithmetic()
    inputs = open_inputs(config, process)
    return Trainer(config, folder, inputs.method, inputs.stream, process, inputs.contents)


EZVSL: dict[str, Any] = {"name": "ezvsl", "temperature": 0.07}
