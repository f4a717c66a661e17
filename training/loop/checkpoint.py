"""Saving and resuming a run: tensors and plain data only, written whole or not at all, with a checksum.

The checkpoint before the last one is kept: where the last one is damaged, or of another run, the run goes on from there
and says so. Those of earlier versions do not carry their run, and are taken as they are. No random state is saved:
every random number of a step is a function of (seed, step), see `optimiser_step.py`.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from index.encoders.torch_file import said_by_torch
from manifests.errors import InputError
from manifests.files.checksums import Damaged, check_seal, sealed_file
from manifests.files.given import check_lasting, no_file, reason
from training.run_folders.identity import of_another

FORMAT = 1
LAST, PREVIOUS, SET_ASIDE = "last.pt", "previous.pt", "damaged.pt"


@dataclass(frozen=True)
class Progress:
    """How far a run has come: optimiser steps done, seconds spent training, steps skipped for want of a finite loss."""

    step: int = 0
    seconds: float = 0.0
    skipped: int = 0

    def after_step(self, seconds: float, skipped: bool) -> "Progress":
        """One step more."""
        return Progress(self.step + 1, self.seconds + seconds, self.skipped + skipped)


class Checkpoints:
    """The checkpoints of one run, in `folder`; `run` is what they carry of it (`identity.carried`)."""

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self.folder, self.run = folder, run
        self.said: list[str] = []  # what a person should know of loading them
        self._replaced = PREVIOUS  # what the last one becomes when the next one is there

    def save(self, method: nn.Module, optimiser: Optimizer, progress: Progress) -> None:
        """Write the last one whole, so that a kill or a full disk leaves an earlier one intact."""
        content = {"format": FORMAT, "run": dict(self.run), **asdict(progress)}
        content |= {"method": method.state_dict(), "optimizer": optimiser.state_dict()}
        with sealed_file(self.folder / LAST, keep=self.folder / self._replaced) as handle:
            torch.save(content, handle)
        self._replaced = PREVIOUS

    def load(self, method: nn.Module, optimiser: Optimizer, steps: int) -> Progress:
        """Restore a run of so many `steps` in place; without a checkpoint it is a fresh start.

        InputError when there are some and none can be used.
        """
        damages = []
        for name in (LAST, PREVIOUS):
            path = self.folder / name
            if not os.path.lexists(path):
                continue
            try:
                progress = _restore(path, method, optimiser, steps, self.run)
            except Damaged as error:
                damages.append(f"checkpoint {path} cannot be used: {error}")
            else:
                if name == PREVIOUS:
                    self._fall_back(path, progress, damages)
                return progress
        if damages:
            raise InputError(
                f"{'; '.join(damages)}. Copy it again from where it was made, or delete {self.folder} to start this "
                "run again from its first step."
            )
        return Progress()

    def _fall_back(self, path: Path, progress: Progress, damages: list[str]) -> None:
        self._replaced = SET_ASIDE if damages else PREVIOUS
        self.said = [
            *(f"{damage}. It becomes {SET_ASIDE} at the next save" for damage in damages),
            f"the run goes on from the checkpoint before, {path}, at step {progress.step:,}",
        ]


def _restore(path: Path, method: nn.Module, optimiser: Optimizer, steps: int, run: Mapping[str, Any]) -> Progress:
    """Load one checkpoint. Damaged when it is none, or none of this run; MachineFailed when its disk fails."""
    if (kind := no_file(path)) is not None:
        raise Damaged(f"it is {kind}, not a file")
    try:
        check_seal(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Damaged:
        raise
    except Exception as error:  # whatever torch's readers make of bytes that are no checkpoint
        check_lasting(f"checkpoint {path}", error)
        raise Damaged(f"it is truncated or not a checkpoint ({said_by_torch(error)})") from error
    progress = _progress(content, steps, run)
    try:
        method.load_state_dict(content["method"])
        optimiser.load_state_dict(content["optimizer"])
    except Exception as error:  # KeyError, RuntimeError, ValueError, TypeError: as the wrong thing is wrong
        raise Damaged(f"it is not of this run's method ({reason(error)})") from error
    _check_optimiser(optimiser)
    return progress


def _progress(content: Any, steps: int, run: Mapping[str, Any]) -> Progress:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Damaged(f"it is not a checkpoint of this program (format {FORMAT})")
    if foreign := of_another(content.get("run"), run):
        raise Damaged(foreign)
    step, seconds, skipped = content.get("step"), content.get("seconds"), content.get("skipped", 0)
    if not isinstance(step, int) or not 0 <= step <= steps:
        raise Damaged(f"it is of step {step}, where this run has {steps:,} steps")
    if not isinstance(seconds, float | int) or not math.isfinite(seconds) or not isinstance(skipped, int):
        raise Damaged(f"it says {seconds} seconds and {skipped} skipped steps")
    return Progress(step, float(seconds), skipped)


def _check_optimiser(optimiser: Optimizer) -> None:
    """Its moments have the shapes of their parameters, which torch does not compare."""
    for parameter, state in optimiser.state.items():
        wrong = [value for value in state.values() if isinstance(value, Tensor) and value.dim()]
        if any(value.shape != parameter.shape for value in wrong):
            raise Damaged("the optimiser's moments are of other parameters")
