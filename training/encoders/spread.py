"""Trunks over a batch that every process has whole: each computes its own replicas' rows, and all get all features.

What a method does before and after its trunks is done on the whole batch, by every process alike. So a loss is over
the whole batch, whichever method it is, and the memory and time of trunks, which is nearly all of a step, is divided.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from training.distributed import Ranks
from training.encoders.batch_norm import statistics_kept, synchronise
from training.encoders.weights import trunks_of

Compute = Callable[[Tensor], Tensor]
ENTRIES = ("forward", "cells", "per_patch")  # what methods call of a trunk


@dataclass(frozen=True)
class Share:
    """How rows are divided: in `replicas` parts, equally many for each rank.

    `together`: a rank's parts go through a trunk as one, and batch norm joins the statistics of all ranks, else one by
    one; `recompute`: activations are computed again in the backward pass, so that those of one part are held.
    """

    ranks: Ranks
    replicas: int
    together: bool
    recompute: bool


def spread_trunks(method: nn.Module, share: Share) -> None:
    """Let every trunk of a method, in place, compute its share of the rows it is given while the method trains.

    Batch norm outside of trunks sees the whole batch by itself.
    """
    for trunk in trunks_of(method):
        if share.together:
            synchronise(trunk, share.ranks.device)
        spread = _Spread(method, trunk, share)
        for name in ENTRIES:
            if hasattr(trunk, name):
                setattr(trunk, name, partial(spread, getattr(trunk, name)))


class _Spread:
    """Stands before a trunk's entries: (B, ...) on every rank -> features (B, ...) on every rank."""

    def __init__(self, method: nn.Module, trunk: nn.Module, share: Share) -> None:
        self.method, self.trunk, self.share = method, trunk, share
        self._inside = False  # one entry may lead through another

    def __call__(self, compute: Compute, rows: Tensor) -> Tensor:
        if self._inside or not self.method.training:  # one process validates alone
            return compute(rows)
        share, ranks = self.share, self.share.ranks
        parts = rows.tensor_split(share.replicas)
        own = [parts[replica] for replica in ranks.replicas(share.replicas)]
        computed = [self._features(compute, part) for part in ([torch.cat(own)] if share.together else own)]
        counts = [sum(map(len, parts[first : first + len(own)])) for first in range(0, share.replicas, len(own))]
        return ranks.shared(torch.cat(computed), counts)

    def _features(self, compute: Compute, part: Tensor) -> Tensor:
        own = partial(self._of_own_rows, compute)
        if not (self.share.recompute and torch.is_grad_enabled()):
            return own(part)
        return cast(Tensor, checkpoint(own, part, use_reentrant=False, context_fn=self._contexts))

    def _of_own_rows(self, compute: Compute, part: Tensor) -> Tensor:
        self._inside = True
        try:
            return compute(part)
        finally:
            self._inside = False

    def _contexts(self) -> tuple[Any, Any]:
        return nullcontext(), statistics_kept(self.trunk)
