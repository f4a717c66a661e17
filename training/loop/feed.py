"""Where a run's micro-batches come from, epoch after epoch, always on the training device.

On a CPU and with little GPU memory the readers decode every epoch anew, and the next step's batch is copied to the
device while this one is computed. On a GPU that can hold them, all training clips stay in its memory after one pass.
The batches are the same either way.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from training.config import Compute
from training.data.resident import ResidentSet, ResidentStream, fits, resident_bytes
from training.data.stream import TrainingStream, training_loader
from training.loop.device_batches import moved

Parts = list[dict[str, Any]]  # one rank's micro-batches of a step


class Feed:
    """Iterates over the epoch and from the step that its stream was last started at."""

    def __init__(self, stream: TrainingStream, compute: Compute, device: torch.device) -> None:
        self.stream, self.device = stream, device
        rows = np.flatnonzero(stream.selected)
        size = resident_bytes(stream.store, stream.data, rows)
        wanted = compute.resident == "auto" and device.type == "cuda" and fits(size, device)
        self._resident = ResidentSet(stream.store, stream.data, rows, device) if wanted else None
        self.resident_bytes = size if wanted else 0

    def __iter__(self) -> Iterator[Parts]:
        if self._resident is not None:
            return iter(ResidentStream(self.stream, self._resident))
        loader = training_loader(self.stream)
        return _copied_ahead(loader, self.device) if self.device.type == "cuda" else iter(loader)


def _copied_ahead(loader: Iterable[Parts], device: torch.device) -> Iterator[Parts]:
    """Every step's micro-batches on the GPU; the copy of the next ones runs beside the step, on a stream of its own."""
    copies = torch.cuda.Stream(device)
    ready: tuple[Parts, torch.cuda.Event] | None = None
    for parts in loader:
        with torch.cuda.stream(copies):
            ahead = [moved(part, device) for part in parts], torch.cuda.Event()
            ahead[1].record(copies)
        if ready is not None:
            yield _handed_over(*ready)
        ready = ahead
    if ready is not None:
        yield _handed_over(*ready)


def _handed_over(parts: Parts, copied: torch.cuda.Event) -> Parts:
    """The parts for the stream that computes: it waits for their copy and keeps their memory until it is done."""
    computing = torch.cuda.current_stream()
    computing.wait_event(copied)
    for part in parts:
        for tensor in _tensors(part):
            tensor.record_stream(computing)
    return parts


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _tensors(one)
