"""Where a run's micro-batches come from, epoch after epoch, always on the training device.

On a GPU, and on a CPU where `compute.resident` asks for it, all training clips stay decoded in memory after one pass:
on the GPU, and those that it has no room for in this machine's memory. Where that has no room either, and else on a
CPU, the readers decode every epoch anew; then the next step's batch is copied to a GPU while this one is computed.
Where a frozen image trunk sees the same images in every epoch, its features are kept in place of them, on any device.
The batches are the same every way.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.config import Compute
from training.data.resident import ResidentSet, resident_bytes, sizes_of_frames
from training.data.resident_stream import Resident, ResidentStream
from training.data.stream import TrainingStream, training_loader
from training.loop.device_batches import DeviceBatches, moved
from training.loop.kept_features import KeptFeatures, Trunks, why_not
from training.loop.room import Room

Parts = list[dict[str, Any]]  # one rank's micro-batches of a step
Autocast = Callable[[], AbstractContextManager[None]]


class Feed:
    """Iterates over the epoch and from the step that its stream was last started at.

    `batches` and `autocast` are those of the steps, `room` is what clips may take. `remarks` say what is kept where,
    or why it is not; `resident_bytes` is what it takes of the device's memory.
    """

    def __init__(
        self, stream: TrainingStream, compute: Compute, batches: DeviceBatches, autocast: Autocast, room: Room
    ) -> None:
        self.stream, self.room, self.device = stream, room, room.device
        self.remarks: list[str] = []
        self.resident_bytes = 0
        self._resident: Resident | None = None
        if compute.resident != "never":
            self._resident = self._features(batches, autocast, compute.features)
        kept = compute.resident == "always" or (compute.resident == "auto" and self.device.type == "cuda")
        if kept and self._resident is None:
            self._resident = self._pixels()

    def _features(self, batches: DeviceBatches, autocast: Autocast, folder: Path | None) -> KeptFeatures | None:
        """Of a frozen image trunk, where it sees the same images in every epoch and its features fit."""
        stream, trunks = self.stream, Trunks.of(batches.method, self.stream.data)
        if trunks.image is None:
            return None
        sizes = sizes_of_frames(stream.store, stream.data, np.flatnonzero(stream.selected))
        why = why_not(batches.method, stream.data, sizes)
        kept = KeptFeatures(stream, trunks, batches, autocast, self.room, folder) if why is None else None
        why = why if kept is None else kept.refused
        if why is not None:
            self.remarks.append(f"the frozen image trunk sees every clip anew in each epoch: {why}")
            return None
        assert kept is not None
        self.resident_bytes = kept.bytes
        self.remarks.append(f"features of the frozen trunks are kept, {kept.where}")
        return kept

    @property
    def kept(self) -> KeptFeatures | None:
        """What frozen trunks made of all clips, where that is kept."""
        return self._resident if isinstance(self._resident, KeptFeatures) else None

    def _pixels(self) -> ResidentSet | None:
        """All decoded clips, where there is room for them."""
        stream, rows = self.stream, np.flatnonzero(self.stream.selected)
        sizes = resident_bytes(stream.store, stream.data, rows)
        on_device = self.room.divided(sizes)
        if on_device is None:
            self.remarks.append(f"readers decode clips anew in each epoch: they {self.room.too_small(sizes)}")
            return None
        self.resident_bytes = int(sizes[on_device].sum())
        self.remarks.append(f"decoded clips are kept, {self.room.where(sizes, on_device)}")
        return ResidentSet(stream.store, stream.data, rows, self.device, on_device)

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
