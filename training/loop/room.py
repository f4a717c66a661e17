"""How much of a GPU's memory, and of this machine's, a run's clips may take, and which of them lie where.

On a GPU they may take what is free less what a step needs. What does not lie there lies in this machine's memory: cut
there, it costs a step little, and one that finds no memory costs the run; so the estimate of a step is a generous one.
"""

from dataclasses import dataclass

import numpy as np
import torch

from training.config import RunConfig
from training.data.stream import TrainingStream
from training.distributed import Ranks
from training.loop.free_memory import free_memory
from training.loop.whole_batch import share
from training.methods.contract import BaseMethod
from training.processes.liveness import of_launcher

CPU = torch.device("cpu")
A_PIXEL = 600  # bytes of a step in float32, of two ResNet-18 (benchmarks/gpu/h100-1.json: 9.7 GB for 128 clips)
SOUND = 257 * 300  # a spectrogram goes through as large a trunk as an image of so many pixels
MARGIN = 2  # for larger trunks, and for what methods compute behind them
BESIDE = 2e9  # gradients, the optimiser's moments, what libraries need
OF_MEMORY = 0.75  # of what is free in this machine's memory; readers, other programs and files need the rest


@dataclass(frozen=True)
class Room:
    """Bytes that clips may take on the training device and, beside them, in this machine's memory."""

    device: torch.device
    on_device: int
    in_memory: int = 0

    def divided(self, sizes: np.ndarray) -> np.ndarray | None:
        """Which of clips of these bytes (N,) lie on the device, (N,) bool; None where there is no room for all.

        Both kinds are spread evenly, so that every batch has of both: clips that are neighbours here are read together.
        """
        total = int(sizes.sum())
        if total <= self.on_device:
            return np.ones(len(sizes), dtype=bool)
        chosen, taken = np.zeros(len(sizes), dtype=bool), 0
        allowed = np.cumsum(sizes) * (self.on_device / total)
        for clip, (size, most) in enumerate(zip(sizes.tolist(), allowed.tolist(), strict=True)):
            if taken + size <= most:
                chosen[clip], taken = True, taken + size
        return chosen if total - taken <= self.in_memory else None

    def where(self, sizes: np.ndarray, on_device: np.ndarray) -> str:
        """How much lies where, in words."""
        return self._words(int(sizes[on_device].sum()), int(sizes[~on_device].sum()))

    def too_small(self, sizes: np.ndarray) -> str:
        """That there is no room for all, in words."""
        return f"take {sizes.sum() / 1e9:.1f} GB, and there is room for {self._words(self.on_device, self.in_memory)}"

    def _words(self, on_device: int, in_memory: int) -> str:
        there = f"{on_device / 1e9:.1f} GB in {'GPU memory' if self.device.type == 'cuda' else 'memory'}"
        return f"{there}, {in_memory / 1e9:.1f} GB in this machine's" if in_memory else there


def room_for_clips(config: RunConfig, ranks: Ranks, stream: TrainingStream, method: BaseMethod) -> Room:
    """What the clips of one process may take now."""
    memory = memory_of_process()
    if ranks.device.type != "cuda":
        return Room(ranks.device, memory)
    at_once = len(stream.replicas) if config.optim.negatives == "global" and not share(config, ranks).recompute else 1
    clips = at_once * config.optim.batch_size // config.optim.replicas
    step = step_bytes(config, clips, seen(stream, method))
    return Room(ranks.device, max(0, free_memory(ranks.device) - step), memory)


def memory_of_process() -> int:
    """Bytes of this machine's memory for the clips of one process; those on one machine share equally."""
    return int(OF_MEMORY * free_memory(CPU)) // max(1, of_launcher("LOCAL_WORLD_SIZE", 1))


def step_bytes(config: RunConfig, clips: int, times: int) -> int:
    """What a step may take that computes so many clips at once and sees each so many times."""
    halved = 0.5 if config.optim.precision == "bfloat16" else 1
    a_clip = A_PIXEL * halved * (config.data.image_size**2 + SOUND)
    return int(BESIDE + MARGIN * a_clip * clips * times)


def seen(stream: TrainingStream, method: BaseMethod) -> int:
    """How many times a step computes for each clip: itself, a neighbour, an augmented view, consecutive images."""
    neighbour = stream.positives is not None and bool(stream.positives.fetched)
    return 1 + neighbour + ("augmented" in method.needs) + method.burst[0]
