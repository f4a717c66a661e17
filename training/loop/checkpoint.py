"""Saving and resuming a run: tensors and plain data only, written whole or not at all.

No random state is saved: every random number of a step is a function of (seed, step), see `loop.py`.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from manifests.errors import InputError
from manifests.whole_files import whole_file

FORMAT = 1


@dataclass(frozen=True)
class Progress:
    """How far a run has come: optimiser steps done, seconds spent training."""

    step: int = 0
    seconds: float = 0.0


def save_checkpoint(path: Path, method: nn.Module, optimiser: Optimizer, progress: Progress) -> None:
    """Write `path` whole, so that a kill leaves the previous checkpoint intact."""
    content = {
        "format": FORMAT,
        "step": progress.step,
        "seconds": progress.seconds,
        "method": method.state_dict(),
        "optimizer": optimiser.state_dict(),
    }
    with whole_file(path) as handle:
        torch.save(content, handle)


def load_checkpoint(path: Path, method: nn.Module, optimiser: Optimizer) -> Progress:
    """Restore a run in place; a missing file means a fresh start. InputError when the file is damaged."""
    if not path.exists():
        return Progress()
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise InputError(
            f"checkpoint {path} cannot be read ({str(error).splitlines()[0]}): it is truncated or not a checkpoint. "
            "Delete it to start this run again from its first step."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint of this program (format {FORMAT}); delete it to start again.")
    method.load_state_dict(content["method"])
    optimiser.load_state_dict(content["optimizer"])
    return Progress(content["step"], content["seconds"])
