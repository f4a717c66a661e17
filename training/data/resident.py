"""The training clips of a run, decoded once and kept: every epoch after that is cut from there.

`ResidentSet` holds what crops are cut from (uint8 pixels) and the spectrograms (float16), on the training device and,
of clips that it has no room for, in this machine's memory. Frames have many shapes, so all pixels lie in one row after
another, and a batch of crops is one gather on the device. A crop of a frame in memory is cut out there and sent.
"""

import math
import os
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.console import progress
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from training.config import Data
from training.data.kept_rows import KeptRows, sent, staging
from training.data.reader_signals import obey_parent_alone
from training.data.refusals import or_refusal, raised
from training.data.views import Crop, croppable, croppable_size, decode_image, resized

CHUNK = 64  # clips that a reader decodes for one copy to the device


class ResidentSet:
    """The given rows of a store; those `on_device` (N,) bool lie there, the others in this machine's memory.

    Reads and decodes them all, with a process per core.
    """

    def __init__(
        self, store: ShardStore, data: Data, rows: np.ndarray, device: torch.device, on_device: np.ndarray | None = None
    ) -> None:
        self.data, self.device = data, device
        self._position = {int(row): place for place, row in enumerate(rows)}
        self._sizes = sizes_of_frames(store, data, rows)
        self._on_device = np.ones(len(rows), dtype=bool) if on_device is None else on_device
        shape, each = store.spectrogram(int(rows[0])).shape, np.ones(len(rows), dtype=np.int64)
        self._pixels = KeptRows(self._sizes.prod(axis=1), self._on_device, (3,), torch.uint8, device)
        self._audio = KeptRows(each, self._on_device, shape, torch.float16, device)
        self._load(store, rows)

    def _load(self, store: ShardStore, rows: np.ndarray) -> None:
        doing = "decoding into GPU memory" if self.device.type == "cuda" else "decoding into memory"
        for clips, pixels, audio in decoded(store, self.data, rows, doing):
            self._pixels.put(clips, pixels)
            self._audio.put(clips, audio)

    def size(self, row: int) -> tuple[int, int]:
        """Height and width of what a clip's crops are cut from."""
        height, width = self._sizes[self._position[row]]
        return int(height), int(width)

    def images(self, rows: Sequence[int], crops: Sequence[Crop], side: int) -> Tensor:
        """Crops of frames: (B, 3, side, side) uint8, channels last. Those of another side are resized to it."""
        places = self._places(rows)
        kinds = 2 * np.array([crop.side for crop in crops]) + self._on_device[places]
        views = torch.empty((len(rows), side, side, 3), dtype=torch.uint8, device=self.device).permute(0, 3, 1, 2)
        for kind in np.unique(kinds).tolist():
            chosen, (own, on_device) = np.flatnonzero(kinds == kind), divmod(kind, 2)
            cut = (self._cut if on_device else self._cut_here)(places[chosen], [crops[i] for i in chosen.tolist()], own)
            if len(chosen) == len(rows):
                return resized(cut, side)
            views[sent(chosen, self.device)] = resized(cut, side)
        return views

    def _cut(self, places: np.ndarray, crops: Sequence[Crop], side: int) -> Tensor:
        """Crops of one side, (B, 3, side, side), of frames on the device."""
        strides = self._sizes[places, 1]
        corners = self._pixels.starts[places] + [crop.top for crop in crops] * strides + [crop.left for crop in crops]
        return _gathered(self._pixels.there, corners, strides, [crop.flipped for crop in crops], side)

    def _cut_here(self, places: np.ndarray, crops: Sequence[Crop], side: int) -> Tensor:
        """As `_cut`, of frames in this machine's memory. They go to the device as they are, and are mirrored there."""
        squares = staging((len(crops), side, side, 3), torch.uint8, self.device)
        pixels, frames = self._pixels.here.numpy(), zip(self._pixels.starts[places], self._sizes[places], strict=True)
        for square, crop, (start, (height, width)) in zip(squares.numpy(), crops, frames, strict=True):
            frame = pixels[start : start + height * width].reshape(height, width, 3)
            square[:] = frame[crop.top : crop.top + side, crop.left : crop.left + side]
        there = squares.to(self.device, non_blocking=True).view(-1, 3)
        corners, strides = np.arange(len(crops)) * side**2, np.full(len(crops), side)
        return _gathered(there, corners, strides, [crop.flipped for crop in crops], side)

    def audio(self, rows: Sequence[int]) -> Tensor:
        """Spectrograms (B, F, T) float16."""
        return self._audio.of(self._places(rows))

    def _places(self, rows: Sequence[int]) -> np.ndarray:
        return np.array([self._position[row] for row in rows])


def _gathered(pixels: Tensor, corners: np.ndarray, strides: np.ndarray, flipped: Sequence[bool], side: int) -> Tensor:
    """Squares (B, 3, side, side) out of pixels (P, 3), on their device; `corners` are the upper left ones.

    Pixel (y, x) of a square lies at corner + y * stride + x * step; of a mirrored one the corner is the upper right.
    """
    steps = 1 - 2 * np.array(flipped, dtype=np.int64)
    firsts = corners + (side - 1) * np.array(flipped, dtype=np.int64)
    corner, stride, step = sent(np.stack([firsts, strides, steps]), pixels.device)[:, :, None, None]
    along = torch.arange(side, device=pixels.device)
    return pixels[corner + stride * along[:, None] + step * along].permute(0, 3, 1, 2)


def decoded(store: ShardStore, data: Data, rows: np.ndarray, doing: str) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Every clip once, some at a time, read by a process per core: which they are, and what `_Chunks` says of them."""
    chunks = _Chunks(store, data, rows)
    readers = min(len(os.sched_getaffinity(0)), len(chunks) // 2)
    loader = DataLoader(chunks, batch_size=None, num_workers=readers, worker_init_fn=obey_parent_alone)
    first = 0
    with progress(doing, len(rows), "clips") as advance:
        for pixels, audio in raised(loader):
            yield slice(first, first + len(audio)), pixels, audio
            advance(len(audio))
            first += len(audio)


class _Chunks(Dataset):
    """Decoded clips, some at a time: pixels (P, 3) uint8 of one frame after another, spectrograms (n, F, T) float16."""

    def __init__(self, store: ShardStore, data: Data, rows: np.ndarray) -> None:
        self.store, self.data, self.rows = store, data, rows

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / CHUNK)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor] | Exception:
        return or_refusal(partial(self._decoded, self.rows[index * CHUNK : (index + 1) * CHUNK].tolist()))

    def _decoded(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        frames = [croppable(self.store.decoded(row, FRAME, decode_image), self.data) for row in rows]
        audio = np.stack([self.store.spectrogram(row) for row in rows])
        return torch.cat([frame.permute(1, 2, 0).reshape(-1, 3) for frame in frames]), torch.from_numpy(audio)


def sizes_of_frames(store: ShardStore, data: Data, rows: np.ndarray) -> np.ndarray:
    """(N, 2) int64: height and width of what crops of these rows are cut from, in pixels."""
    heights, widths = (store.table.column(name).to_numpy()[rows] for name in ("height", "width"))
    sizes = [croppable_size(int(height), int(width), data) for height, width in zip(heights, widths, strict=True)]
    return np.array(sizes, dtype=np.int64)


def resident_bytes(store: ShardStore, data: Data, rows: np.ndarray) -> np.ndarray:
    """(N,) int64: memory that a `ResidentSet` takes for each of these rows."""
    heard = store.spectrogram(int(rows[0])).nbytes
    return 3 * sizes_of_frames(store, data, rows).prod(axis=1) + heard
