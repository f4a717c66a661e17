"""What happens at a step whose loss or gradient is no number: the run stops, or leaves the step out and counts it.

Stopping waits for nothing: what tells of such a step travels beside its losses and is read with them, and nothing is
saved before all has been read. Skipping is decided before the optimiser moves, from what all processes share, so they
decide alike. Running statistics, which the step's forward pass has already spoilt, are put back.
"""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from manifests.clip_lists.written import as_list
from manifests.errors import WorkFailed
from manifests.files.whole import told, write_text
from training.distributed import Ranks
from training.loop.readings import Step

MOST_IN_A_ROW = 20  # then it is not a batch that is wrong, but the run
GRADIENT, OWN_LOSS = "gradient_norm", "own_loss_of_rank"  # their names beside the losses
LISTED = "not_finite_rank{}.txt"
SKIPPED = "skipped_rank{}.jsonl"


@torch.no_grad()
def gradient_norm(method: nn.Module) -> Tensor:
    """(), on the device: of the gradients as they are now, which all processes share; finite if all of them are."""
    gradients = [parameter.grad for parameter in method.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).float()


def own_losses(total: Tensor, ranks: Ranks) -> Tensor:
    """(W,), on the device: 1 at this rank where its own loss is no number, else 0. To be averaged with the losses."""
    bad = torch.zeros(ranks.world, device=total.device)
    bad[ranks.rank] = ~total.isfinite()
    return bad


def names_of_signs(ranks: Ranks) -> list[str]:
    """Of `own_losses`, and of the gradient's norm after them."""
    return [*(f"{OWN_LOSS}_{rank}" for rank in range(ranks.world)), GRADIENT]


@dataclass(frozen=True)
class Signs:
    """What has been read of a step: its loss, its gradient's norm, and the ranks whose own loss was no number."""

    loss: float
    gradient: float
    ranks: tuple[int, ...]

    @classmethod
    def taken_from(cls, losses: dict[str, float], ranks: Ranks) -> "Signs":
        """Take what travelled beside the losses away from them."""
        *own, gradient = [losses.pop(name) for name in names_of_signs(ranks)]
        return cls(losses["total"], gradient, tuple(rank for rank, share in enumerate(own) if share > 0))

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.gradient)


def not_finite(folder: Path, ranks: Ranks, step: Step, signs: Signs) -> WorkFailed:
    """The error that ends a run, after its clips were listed: by the processes whose own loss was no number.

    Gradients arrive averaged. Of one that is no number under finite losses, every process lists its clips.
    """
    whose = signs.ranks or tuple(range(ranks.world))
    if ranks.rank in whose:
        write_text(folder / LISTED.format(ranks.rank), as_list(step.keys))
    became = f"the gradient became {signs.gradient} under a loss of {signs.loss:.4g}"
    if not math.isfinite(signs.loss):
        became = f"the loss became {signs.loss}"
    return WorkFailed(
        f"{became} at step {step.done.step}, with the clips listed in {_lists(folder, LISTED, whose, ranks)}; lower "
        "optim.learning_rate, train in float32, or look at these clips. optim.not_finite=skip leaves such steps out. "
        "The last checkpoint is from before."
    )


def _lists(folder: Path, name: str, whose: Sequence[int], ranks: Ranks) -> str:
    """The files of these ranks, in words that are the same in every process."""
    if len(whose) == ranks.world > 1:
        return str(folder / name.format("*"))
    return ", ".join(str(folder / name.format(rank)) for rank in whose)


class Skipping:
    """Decides whether a step counts. With the policy `stop` all do: it is looked at later, beside other steps."""

    def __init__(self, policy: str, folder: Path, ranks: Ranks) -> None:
        self._skips, self._folder, self._ranks = policy == "skip", folder, ranks
        # the process that saves puts a step back whose others have gone, where that is told: gloo does, on a CPU
        self._keeps = self._skips or (ranks.first and ranks.world > 1 and ranks.device.type == "cpu")
        self._buffers: list[Tensor] = []
        self._in_a_row = 0
        self.skipped = False  # the last step

    def before(self, method: nn.Module) -> None:
        """Keep what a forward pass changes."""
        if self._keeps:
            self._buffers = [buffer.clone() for buffer in method.buffers()]

    @torch.no_grad()
    def put_back(self, method: nn.Module) -> None:
        """As it was `before`, in the process that kept it."""
        for buffer, kept in zip(method.buffers(), self._buffers, strict=False):
            buffer.copy_(kept)

    @torch.no_grad()
    def counts(self, method: nn.Module, loss: Tensor, gradient: Tensor) -> bool:
        """Whether a step with this loss, and this norm of its gradients, may move the parameters."""
        if not self._skips:
            return True
        if math.isfinite(float(loss)) and math.isfinite(float(gradient)):
            self.skipped, self._in_a_row = False, 0
            return True
        self.put_back(method)
        self.skipped, self._in_a_row = True, self._in_a_row + 1
        return False

    def note(self, step: int, loss: float, keys: list[str]) -> None:
        """Write a skipped step down. WorkFailed when too many follow one another."""
        path = self._folder / SKIPPED.format(self._ranks.rank)
        with told(path), open(path, "a", encoding="utf-8", opener=_following_no_link) as file:
            file.write(json.dumps({"step": step, "loss": str(loss), "keys": keys}) + "\n")
        if self._in_a_row >= MOST_IN_A_ROW:
            lists = _lists(self._folder, SKIPPED, range(self._ranks.world), self._ranks)
            raise WorkFailed(
                f"{MOST_IN_A_ROW} steps in a row, up to step {step}, had no finite loss or gradient and were skipped; "
                f"their clips are listed in {lists}. Lower optim.learning_rate or train in float32. The last "
                "checkpoint is from before."
            )


def _following_no_link(path: str, flags: int) -> int:
    """Open a file of the run's folder, which somebody else may have filled. Raises OSError for a link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
