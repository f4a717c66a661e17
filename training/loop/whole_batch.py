"""The batch of all replicas, the same on every rank, out of the micro-batches that each rank has read.

The bytes that readers give are sent round (0.3 MB a clip, a quarter of what they become on the device), and every
rank makes the same batch of them, with the same draws. Nothing is known of methods: whatever one does with images and
sounds of a batch, mixing clips included, it does as one process would.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from training.config import RunConfig
from training.data.beside import KINDS
from training.distributed import Ranks
from training.encoders.spread import Share
from training.methods.contract import Batch


def share(config: RunConfig, ranks: Ranks) -> Share:
    """How a run's trunks divide the whole batch between its processes."""
    replicas, wanted = config.optim.replicas, config.compute.recompute
    together = config.optim.batch_norm == "synchronised"
    several = replicas > ranks.world and not together
    return Share(ranks, replicas, together, wanted == "always" or (wanted == "auto" and several))


class WholeBatch:
    """Joins what the ranks have; `made` turns one replica's micro-batch into a method's batch, drawing from the random
    numbers of `seed(replica)`."""

    def __init__(
        self, ranks: Ranks, replicas: int, made: Callable[[dict[str, Any]], dict[str, Any]], seed: Callable[[int], None]
    ) -> None:
        self.ranks, self.replicas, self.made, self.seed = ranks, replicas, made, seed

    def __call__(self, parts: list[dict[str, Any]]) -> Batch:
        """This rank's micro-batches -> the whole batch; the draws that follow are those of no replica, but of all."""
        company = parts[0]["company"]
        sent = [{name: value for name, value in part.items() if name not in ("key", "company")} for part in parts]
        self._lengthen(sent)
        of_ranks = [_of_ranks(part, self.ranks) for part in sent]
        batches = []
        for replica in range(self.replicas):
            rank, number = divmod(replica, len(parts))
            self.seed(replica)
            batches.append(self.made({"key": [], **of_ranks[number][rank]}))
        self.seed(self.replicas)
        return Batch(**{**_joined(batches), "key": company})

    def _lengthen(self, parts: list[dict[str, Any]]) -> None:
        """Fill what clips have several of up with 0, to what the longest of the whole batch has."""
        for name in KINDS & parts[0].keys():
            longest = self.ranks.largest(max(part[name].shape[1] for part in parts))
            for part in parts:
                part[name] = F.pad(part[name], (0, 0, 0, longest - part[name].shape[1]))


def _of_ranks(value: Any, ranks: Ranks) -> list[Any]:
    """Every rank's counterpart of a tensor, or of a dictionary of them."""
    if isinstance(value, dict):
        found = {name: _of_ranks(one, ranks) for name, one in value.items()}
        return [{name: ones[rank] for name, ones in found.items()} for rank in range(ranks.world)]
    if value.dtype == torch.bool:  # gloo sends none
        return [one.bool() for one in ranks.of_all(value.byte())]
    return ranks.of_all(value)


def _joined(batches: list[Any]) -> Any:
    """Tensors of all batches as one, below one another."""
    if isinstance(batches[0], dict):
        return {name: _joined([batch[name] for batch in batches]) for name in batches[0] if name != "key"}
    return torch.cat(batches)
