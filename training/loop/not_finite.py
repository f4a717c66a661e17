"""What happens at a step whose loss is no number: the run stops, or leaves the step out and counts it.

Skipping is decided before the optimiser moves, from the loss that all processes share, so they decide alike. Running
statistics, which the step's forward pass has already spoilt, are put back.
"""

import json
import math
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from manifests.errors import WorkFailed
from manifests.whole_files import told, write_text
from training.loop.readings import Step

MOST_IN_A_ROW = 20  # then it is not a batch that is wrong, but the run


def not_finite(folder: Path, rank: int, step: Step, loss: float) -> WorkFailed:
    """The error that ends a run, after its clips were listed."""
    listed = folder / f"not_finite_rank{rank}.txt"
    write_text(listed, "".join(f"{key}\n" for key in step.keys))
    return WorkFailed(
        f"the loss became {loss} at step {step.done.step}, with the clips listed in {listed}; lower "
        "optim.learning_rate, train in float32, or look at these clips. optim.not_finite=skip leaves such steps out. "
        "The last checkpoint is from before."
    )


class Skipping:
    """Decides whether a step counts. With the policy `stop` all do: the loss is looked at later, beside other steps."""

    def __init__(self, policy: str, folder: Path, rank: int) -> None:
        self._skips, self._folder, self._rank = policy == "skip", folder, rank
        self._buffers: list[Tensor] = []
        self._in_a_row = 0
        self.skipped = False  # the last step

    def before(self, method: nn.Module) -> None:
        """Keep what a forward pass changes."""
        if self._skips:
            self._buffers = [buffer.clone() for buffer in method.buffers()]

    @torch.no_grad()
    def counts(self, method: nn.Module, loss: Tensor) -> bool:
        """Whether a step with this loss, and gradients as they are now, may move the parameters."""
        if not self._skips:
            return True
        gradients = [parameter.grad for parameter in method.parameters() if parameter.grad is not None]
        if math.isfinite(float(loss)) and math.isfinite(float(torch.nn.utils.get_total_norm(gradients))):
            self.skipped, self._in_a_row = False, 0
            return True
        for buffer, kept in zip(method.buffers(), self._buffers, strict=True):
            buffer.copy_(kept)
        self.skipped, self._in_a_row = True, self._in_a_row + 1
        return False

    def note(self, step: int, loss: float, keys: list[str]) -> None:
        """Write a skipped step down. WorkFailed when too many follow one another."""
        path = self._folder / f"skipped_rank{self._rank}.jsonl"
        with told(path), open(path, "a", encoding="utf-8", opener=_following_no_link) as file:
            file.write(json.dumps({"step": step, "loss": str(loss), "keys": keys}) + "\n")
        if self._in_a_row >= MOST_IN_A_ROW:
            raise WorkFailed(
                f"{MOST_IN_A_ROW} steps in a row, up to step {step}, had no finite loss or gradient and were skipped; "
                f"their clips are listed in {path}. Lower optim.learning_rate or train in float32. The last "
                "checkpoint is from before."
            )


def _following_no_link(path: str, flags: int) -> int:
    """Open a file of the run's folder, which somebody else may have filled. Raises OSError for a link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
