"""One step of the optimiser: a batch's parts contrasted, their losses and gradients averaged over all replicas.

A step's batch is cut into `optim.replicas` equal parts with their own negatives and batch-norm statistics; each of
W processes serves replicas / W of them, one after the other. Every random number of a part comes from
(seed, step, replica), so neither the number of processes nor a kill and resume changes what is computed.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.config import RunConfig
from training.distributed import Ranks
from training.encoders.spread import spread_trunks
from training.encoders.weights import compile_trunks
from training.loop.device_batches import DeviceBatches
from training.loop.not_finite import Skipping, gradient_norm, names_of_signs, own_losses
from training.loop.optimiser import set_learning_rate
from training.loop.whole_batch import WholeBatch, share
from training.methods.contract import BaseMethod, Batch
from training.settings.limits import LARGEST_SEED


class LossOf(nn.Module):
    """DistributedDataParallel only sees `forward`: this one's forward is the method's loss."""

    def __init__(self, method: BaseMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self.method.loss(batch)


def learns(method: nn.Module) -> bool:
    """Whether it has parameters that steps would move."""
    return any(parameter.requires_grad for parameter in method.parameters())


class OptimiserStep:
    """Takes the steps of a method that lies on its device. `batches` makes what the method sees of a micro-batch."""

    def __init__(
        self,
        config: RunConfig,
        method: BaseMethod,
        optimiser: torch.optim.Optimizer,
        ranks: Ranks,
        replicas: Sequence[int],
        batches: DeviceBatches,
        skipping: Skipping,
    ) -> None:
        self.config, self.method, self.optimiser, self.ranks = config, method, optimiser, ranks
        self.replicas, self.batches, self._skipping, self._number = replicas, batches, skipping, 0
        self._compiled = config.compute.compile == "always"
        if self._compiled:
            compile_trunks(method)
        self._whole = self._over_all_replicas() if config.optim.negatives == "global" else None
        self.model = self._wrapped()

    def _over_all_replicas(self) -> WholeBatch:
        """Let the trunks share a whole batch between the processes; what makes that batch."""
        spread_trunks(self.method, share(self.config, self.ranks))
        return WholeBatch(self.ranks, self.config.optim.replicas, self.batches, self._seed)

    def _wrapped(self) -> nn.Module:
        model = LossOf(self.method)
        if self.ranks.world == 1 or not learns(self.method):
            return model
        devices = [self.ranks.device] if self.ranks.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices)

    def __call__(
        self, number: int, rate: float, parts: list[dict[str, Any]], beside: dict[str, Tensor]
    ) -> tuple[list[str], Tensor]:
        """Step `number` at a learning rate, over this rank's micro-batches.

        The losses' names, and their means over all replicas; after them the means over all ranks of the numbers
        `beside`, and what tells of a step that is no number.
        """
        self._number = number
        set_learning_rate(self.optimiser, rate)
        self.optimiser.zero_grad(set_to_none=True)
        if self._compiled:  # what its trunks gave in the last step is needed no more
            torch.compiler.cudagraph_mark_step_begin()
        self._skipping.before(self.method)
        sums = self._gradients(parts)
        own = own_losses(sums["total"], self.ranks)
        means = self.ranks.mean(torch.cat([torch.stack([*sums.values(), *beside.values()]), own]))
        gradient = gradient_norm(self.method)
        if self._skipping.counts(self.method, means[list(sums).index("total")], gradient):
            self.optimiser.step()
            self.method.after_step(number)
        return [*sums, *beside, *names_of_signs(self.ranks)], torch.cat([means, gradient[None]])

    def _gradients(self, parts: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Add the gradients up, averaged over all ranks; the mean losses of this one's micro-batches."""
        sums: dict[str, Tensor] = {}
        count = len(parts) if self._whole is None else 1
        for number, batch in enumerate(self.contrasted(parts), start=1):
            with self._joined_at(number == count):
                with self.autocast():
                    losses = self.model(batch)
                (losses["total"] / count).backward()
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach().float() / count
        return sums

    def _joined_at(self, last: bool) -> AbstractContextManager[None]:
        """Processes average their gradients once a step, in its last backward pass."""
        model = self.model
        return nullcontext() if last or not isinstance(model, DistributedDataParallel) else model.no_sync()

    def contrasted(self, parts: list[dict[str, Any]]) -> Iterator[Batch]:
        """What losses are over, made when it is asked for: the batch of each replica, or the whole one of all."""
        if self._whole is not None:
            yield self._whole(parts)
            return
        for replica, part in zip(self.replicas, parts, strict=True):
            self._seed(replica)
            yield Batch(**self.batches(part))

    def _seed(self, replica: int) -> None:
        """Dropout, augmentation: all from (seed, step, replica)."""
        number = (self.config.seed * 1_000_003 + self._number) * 1_009 + replica
        torch.manual_seed(number % (LARGEST_SEED + 1))

    def autocast(self) -> Any:
        """The precision of a method's forward pass."""
        enabled = self.config.optim.precision == "bfloat16"
        return torch.autocast(self.ranks.device.type, dtype=torch.bfloat16, enabled=enabled)
