"""Batch norm with the statistics of all processes' clips: torch's own on GPUs, the same sums on CPUs, which it lacks.

Names and shapes of weights stay those of local batch norm, so checkpoints of the two fit each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather
from torch.nn.modules.batchnorm import _BatchNorm


class JoinedBatchNorm(_BatchNorm):
    """Every process passes as many values; its own mean and variance are joined with all others'."""

    def forward(self, input: Tensor) -> Tensor:
        alone = not self.training or not dist.is_initialized() or dist.get_world_size() == 1
        return super().forward(input) if alone else self._joined(input)

    def _check_input_dim(self, input: Tensor) -> None:
        """Images, vectors: all are taken."""

    def _joined(self, input: Tensor) -> Tensor:
        values = input.float()
        own = torch.stack(torch.var_mean(values, dim=[0, *range(2, input.dim())], correction=0))
        variances, means = torch.stack(all_gather(own)).unbind(dim=1)
        mean = means.mean(dim=0)
        variance = variances.mean(dim=0) + means.var(dim=0, correction=0)
        if self.track_running_stats:
            self._remember(mean.detach(), variance.detach(), values.numel() // len(mean) * dist.get_world_size())
        along = [1, -1, *[1] * (input.dim() - 2)]
        scaled = (values - mean.view(along)) * torch.rsqrt(variance + self.eps).view(along)
        if self.affine:
            scaled = scaled * self.weight.view(along) + self.bias.view(along)
        return scaled.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, the variance as an estimate from `count` values, as torch does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None  # torch averages all batches then; no trunk here does
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)


def synchronise(module: nn.Module, device: torch.device) -> None:
    """Replace every batch norm below a module, in place; parameters and buffers stay the same objects."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm):
                setattr(parent, name, _joining(child))


def _joining(local: _BatchNorm) -> JoinedBatchNorm:
    momentum = cast(float, local.momentum)
    norm = JoinedBatchNorm(local.num_features, local.eps, momentum, local.affine, local.track_running_stats)
    norm._parameters, norm._buffers = local._parameters, local._buffers
    return norm.train(local.training)


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Within, passes leave the running statistics alone: they have seen these values before."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.training]
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm, _, count in before:
        norm.momentum, norm.num_batches_tracked = 0.0, None if count is None else count.clone()
    try:
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum, norm.num_batches_tracked = momentum, count
