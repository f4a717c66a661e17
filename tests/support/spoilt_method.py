"""An EZ-VSL of another package, of which one process's loss, or its gradient, is no number at one step of a run.

A config names it `support.spoilt_method`, with tests/ on PYTHONPATH: `spoilt_config(folder, shards, at=4, rank=1)`.
"""

import os
from pathlib import Path
from typing import Literal

import torch
import yaml
from runs_in_processes import write_small
from torch import Tensor

from training.methods.contract import Batch
from training.methods.ezvsl import Config as Parent
from training.methods.ezvsl import Method as Whole

TESTS = Path(__file__).parents[1]
PLACES = {"PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS), str(TESTS / "support")))}  # for a process


class Config(Parent):
    """Where and when it happens."""

    at: int = 0
    rank: int = 0
    what: Literal["loss", "gradient", "memory"] = "loss"


class Method(Whole):
    """Counts its steps from the start of its process."""

    config: Config
    steps = 0

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        losses = super().loss(batch)
        if self.steps + 1 != self.config.at or self.config.rank != int(os.environ.get("RANK", "0")):
            return losses
        if self.config.what == "memory":
            self.held = [torch.empty(2**26) for _ in range(2**20)]  # a quarter of a GiB each, none of it touched
        return (
            losses | {"total": without_gradient(losses["total"])}
            if self.config.what == "gradient"
            else {name: loss * float("nan") for name, loss in losses.items()}
        )

    def after_step(self, step: int) -> None:
        super().after_step(step)
        self.steps += 1


class _NoNumber(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, loss: Tensor) -> Tensor:
        return loss.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return gradients[0] * float("nan")


def without_gradient(loss: Tensor) -> Tensor:
    """The same loss, whose gradient is no number."""
    return _NoNumber.apply(loss)


def spoilt_config(folder: Path, shards: Path, **options: object) -> Path:
    """A small run's config with this method."""
    path = write_small(folder / "small.yaml", shards)
    content = yaml.safe_load(path.read_text())
    content["method"] |= {"name": "support.spoilt_method", **options}
    path.write_text(yaml.safe_dump(content))
    return path
