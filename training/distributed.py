"""One process or several: what torchrun's environment says, and the few collective operations the loop needs."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from index.encoders.torch_device import pick_device
from manifests.commands.endings import GOES_ON
from manifests.errors import InputError, WorkFailed
from training.processes.liveness import OTHER_ENDED, living_together, of_launcher
from training.processes.rendezvous import start_of_all

LOST_CONNECTION = ("Connection closed by peer", "Connection reset", "Broken pipe", "gloo/transport", "NCCL")


@dataclass(frozen=True)
class Ranks:
    """This process among all processes of the run."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def replicas(self, count: int) -> range:
        """Which of the batch's replicas this rank serves: a contiguous share."""
        share = count // self.world
        return range(self.rank * share, (self.rank + 1) * share)

    def mean(self, values: Tensor) -> Tensor:
        """Average over all ranks, on the device."""
        if self.world > 1:
            dist.all_reduce(values)
            values = values / self.world
        return values

    def gather(self, rows: np.ndarray, counts: list[int]) -> np.ndarray:
        """All ranks' rows in rank order, `counts[r]` of rank r; what pads the shorter shares is cut off again."""
        padded = torch.zeros((max(counts), *rows.shape[1:]), dtype=torch.float32, device=self.device)
        padded[: len(rows)] = torch.from_numpy(rows)
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return np.concatenate([part[:count].cpu().numpy() for part, count in zip(parts, counts, strict=True)])

    def from_first(self, text: str) -> str:
        """The first rank's text, in all of them."""
        if self.world == 1:
            return text
        content = list(text.encode())
        size = torch.tensor(len(content), device=self.device)
        dist.broadcast(size, 0)
        if not int(size):
            return ""
        sent = torch.tensor(content if self.first else [0] * int(size), dtype=torch.uint8, device=self.device)
        dist.broadcast(sent, 0)
        return bytes(sent.tolist()).decode()

    def agree(self, value: int, what: str) -> None:
        """WorkFailed when the ranks differ in a number."""
        if self.world == 1:
            return
        ends = torch.tensor([value, -value], device=self.device)
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        largest, smallest = int(ends[0]), -int(ends[1])
        if largest != smallest:
            raise WorkFailed(
                f"The processes of this run do not see the same {what}: one has {smallest}, another {largest}. Let all "
                "of them see one disk, and repeat the command."
            )

    def largest(self, value: int) -> int:
        """The largest of all ranks' numbers."""
        if self.world == 1:
            return value
        found = torch.tensor(value, device=self.device)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def of_all(self, rows: Tensor) -> list[Tensor]:
        """Every rank's tensor of this shape, in rank order."""
        if self.world == 1:
            return [rows]
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(self.world)]
        dist.all_gather(parts, rows.contiguous())
        return parts

    def shared(self, rows: Tensor, counts: list[int]) -> Tensor:
        """All ranks' rows in rank order, `counts[r]` of rank r, for a loss that every rank computes alike.

        Averaged over ranks, as DistributedDataParallel does it, the gradients are then those of that one loss.
        """
        return rows if self.world == 1 else _Shared.apply(rows, counts, self)

    def take_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite each of these, which have the same shapes on every rank, with the first rank's."""
        for tensor in tensors if self.world > 1 else ():
            dist.broadcast(tensor, 0)

    def barrier(self) -> None:
        """Wait for every rank."""
        if self.world > 1:
            dist.barrier()


class _Shared(torch.autograd.Function):
    """Rows of all ranks. Of the gradient, the same on every rank, each takes its own rows, times the number of ranks:
    its trunk has gradients of these rows alone, and the average over ranks should be their sum."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], ranks: Ranks) -> Tensor:
        first = sum(counts[: ranks.rank])
        ctx.own, ctx.world = slice(first, first + len(rows)), ranks.world
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        return torch.cat([part[:count] for part, count in zip(ranks.of_all(padded), counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.own] * ctx.world, None, None


def repeatable_arithmetic() -> None:
    """Let float32 mean float32 on GPUs, whose convolutions are TF32 otherwise, and equal runs give equal gradients.

    Neither costs anything here: whoever wants speed trains in bfloat16, and on an H200 a step with deterministic
    convolutions took 33.8 ms, one with any 33.5.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


@contextmanager
def ranks(device: str = "auto") -> Iterator[Ranks]:
    """Join the processes torchrun started (NCCL on GPUs, gloo on CPUs), or run alone without a launcher."""
    world, rank, local = of_launcher("WORLD_SIZE", 1), of_launcher("RANK", 0), of_launcher("LOCAL_RANK", 0)
    if rank >= world:
        raise InputError(f"The environment names process {rank} of {world} (RANK, WORLD_SIZE). Start it with torchrun.")
    chosen = pick_device(device)
    use_cuda = chosen.type == "cuda"
    if use_cuda and world > 1:  # each process its own, whichever was named
        chosen = torch.device("cuda", local)
    if use_cuda:
        torch.cuda.set_device(chosen)
        repeatable_arithmetic()
    if world == 1:
        yield Ranks(rank, world, chosen)
        return
    if world == of_launcher("LOCAL_WORLD_SIZE", 0):  # all on this machine: nothing listens beyond it
        for library in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo")
    try:
        name, store = start_of_all(rank, world)
        with living_together(rank, world, name):  # before the group, which waits for a lost host half an hour
            dist.init_process_group("nccl" if use_cuda else "gloo", store=store, rank=rank, world_size=world)
            yield Ranks(rank, world, chosen)
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        raise WorkFailed(
            f"{OTHER_ENDED} or cannot be reached ({str(error).splitlines()[0][:200]}); this "
            f"one, {rank} of {world}, ends, too. {GOES_ON}"
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def is_lost_connection(error: RuntimeError) -> bool:
    """Whether a collective operation failed because its partners are gone: gloo's and NCCL's words for it."""
    return isinstance(error, dist.DistError) or any(words in str(error) for words in LOST_CONNECTION)
