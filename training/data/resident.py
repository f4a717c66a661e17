"""The training clips of a run, decoded once and kept in a GPU's memory: every epoch after that is cut from there.

`ResidentSet` holds what crops are cut from (uint8 pixels) and the spectrograms (float16); `ResidentStream` serves the
micro-batches of a `TrainingStream`, in its order and with its crops, without reading a shard again. Frames have many
shapes, so all pixels lie in one row after another, and a batch of crops is one gather.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from index.arrays import MODALITIES
from pipeline.console import progress
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from training.config import Data
from training.data.beside import collated
from training.data.reader_signals import obey_parent_alone
from training.data.refusals import or_refusal, raised
from training.data.stream import TrainingStream
from training.data.views import Crop, clip_random, croppable, croppable_size, decode_image, random_crop, resized

CHUNK = 64  # clips that a reader decodes for one copy to the device
LARGEST_SHARE = 0.75  # of the memory that is free before the first step; a step needs the rest


class ResidentSet:
    """The given rows of a store on a device. Reads and decodes them all, with a process per core."""

    def __init__(self, store: ShardStore, data: Data, rows: np.ndarray, device: torch.device) -> None:
        self.data, self.device = data, device
        self._position = {int(row): place for place, row in enumerate(rows)}
        self._sizes = sizes_of_frames(store, data, rows)
        self._starts = np.concatenate([[0], np.cumsum(self._sizes.prod(axis=1))])
        self._pixels = torch.empty((int(self._starts[-1]), 3), dtype=torch.uint8, device=device)
        shape = store.spectrogram(int(rows[0])).shape
        self._audio = torch.empty((len(rows), *shape), dtype=torch.float16, device=device)
        self._load(store, rows)

    def _load(self, store: ShardStore, rows: np.ndarray) -> None:
        doing = "decoding into GPU memory" if self.device.type == "cuda" else "decoding into memory"
        for clips, pixels, audio in decoded(store, self.data, rows, doing):
            self._pixels[int(self._starts[clips.start]) : int(self._starts[clips.stop])] = pixels.to(self.device)
            self._audio[clips] = audio.to(self.device)

    def size(self, row: int) -> tuple[int, int]:
        """Height and width of what a clip's crops are cut from."""
        height, width = self._sizes[self._position[row]]
        return int(height), int(width)

    def images(self, rows: Sequence[int], crops: Sequence[Crop], side: int) -> Tensor:
        """Crops of frames: (B, 3, side, side) uint8, channels last. Those of another side are resized to it."""
        sides = np.array([crop.side for crop in crops])
        views = torch.empty((len(rows), side, side, 3), dtype=torch.uint8, device=self.device).permute(0, 3, 1, 2)
        for own in np.unique(sides):
            chosen = np.flatnonzero(sides == own).tolist()
            cut = self._cut([rows[i] for i in chosen], [crops[i] for i in chosen], int(own))
            if len(chosen) == len(rows):
                return resized(cut, side)
            views[torch.tensor(chosen, device=self.device)] = resized(cut, side)
        return views

    def _cut(self, rows: Sequence[int], crops: Sequence[Crop], side: int) -> Tensor:
        """Crops of one side, (B, 3, side, side): pixel (y, x) of a crop lies at corner + y * stride + x * step."""
        places = [self._position[row] for row in rows]
        strides = self._sizes[places, 1]
        firsts = [crop.left + (crop.side - 1 if crop.flipped else 0) for crop in crops]
        corners = self._starts[places] + [crop.top for crop in crops] * strides + firsts
        steps = [-1 if crop.flipped else 1 for crop in crops]
        corner, stride, step = sent(np.stack([corners, strides, steps]), self.device)[:, :, None, None]
        along = torch.arange(side, device=self.device)
        return self._pixels[corner + stride * along[:, None] + step * along].permute(0, 3, 1, 2)

    def audio(self, rows: Sequence[int]) -> Tensor:
        """Spectrograms (B, F, T) float16."""
        return self._audio[sent(np.array([self._position[row] for row in rows]), self.device)]


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


class Resident(Protocol):
    """Clips of a store on a device, by their rows: a `ResidentSet`, or what frozen trunks made of them."""

    @property
    def device(self) -> torch.device: ...

    def size(self, row: int) -> tuple[int, int]: ...

    def images(self, rows: Sequence[int], crops: Sequence[Crop], side: int) -> Tensor: ...

    def audio(self, rows: Sequence[int]) -> Tensor: ...


class ResidentStream:
    """The micro-batches of a `TrainingStream`, the same keys and crops, out of a `Resident` and on its device."""

    def __init__(self, stream: TrainingStream, resident: Resident) -> None:
        self.stream, self.resident = stream, resident

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        for parts, company in self.stream.key_order():
            yield [self._batch(keys, company) for keys in parts]

    def _batch(self, keys: list[str], company: list[str] | None) -> dict[str, Any]:
        stream, positives = self.stream, self.stream.positives
        draws = [clip_random(stream.seed, stream.epoch, key) for key in keys]
        named = stream.named(keys)
        rows = named["row"].tolist()
        numbers = self._sent({name: value for name, value in named.items() if name != "key"})
        crops = self._crops(rows, draws)
        batch: dict[str, Any] = {"key": keys, **numbers, **self._views(rows, rows, crops)}
        if stream.beside.kinds:
            clips = zip(keys, crops, rows, strict=True)
            found = collated([stream.beside_of(key, crop, *self._frame(row)) for key, crop, row in clips])
            batch |= self._sent(found)
        if company is not None:
            batch["company"] = company
        if positives is not None and positives.fetched:
            near = [positives.draw_rows(key, draw) for key, draw in zip(keys, draws, strict=True)]
            images = [image for image, _ in near]
            crops = self._crops(images, draws) if "image" in positives.fetched else []
            found = self._views(images, [audio for _, audio in near], crops, positives.fetched)
            batch["neighbours"] = found
        if positives is not None and positives.excluded:
            batch["exclusions"] = self._sent(positives.exclusions(keys, company))
        return batch

    def _sent(self, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: sent(value.numpy(), self.resident.device) for name, value in named.items()}

    def _frame(self, row: int) -> tuple[int, int]:
        """Height and width of a clip's frame as it is stored."""
        table = self.stream.store.table
        return table["height"][row].as_py(), table["width"][row].as_py()

    def _crops(self, rows: list[int], draws: list[Any]) -> list[Crop]:
        sizes = (self.resident.size(row) for row in rows)
        return [random_crop(*size, self.stream.data, draw) for size, draw in zip(sizes, draws, strict=True)]

    def _views(
        self, image_rows: list[int], audio_rows: list[int], crops: list[Crop], wanted: tuple[str, ...] = MODALITIES
    ) -> dict[str, Tensor]:
        made = {}
        if "image" in wanted:
            made["image"] = self.resident.images(image_rows, crops, self.stream.side)
        if "audio" in wanted:
            made["audio"] = self.resident.audio(audio_rows)
        return made


def sizes_of_frames(store: ShardStore, data: Data, rows: np.ndarray) -> np.ndarray:
    """(N, 2) int64: height and width of what crops of these rows are cut from, in pixels."""
    heights, widths = (store.table.column(name).to_numpy()[rows] for name in ("height", "width"))
    sizes = [croppable_size(int(height), int(width), data) for height, width in zip(heights, widths, strict=True)]
    return np.array(sizes, dtype=np.int64)


def resident_bytes(store: ShardStore, data: Data, rows: np.ndarray) -> int:
    """Memory that a `ResidentSet` of these rows takes."""
    return 3 * int(sizes_of_frames(store, data, rows).prod(axis=1).sum()) + store.spectrogram(
        int(rows[0])
    ).nbytes * len(rows)


def fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes can stay on the device and leave a step the room it needs."""
    return size <= LARGEST_SHARE * free_memory(device)


def free_memory(device: torch.device) -> int:
    """Bytes that a program may still take, of a GPU or of this machine (0 where Linux's /proc does not say)."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)


def sent(values: np.ndarray, device: torch.device) -> Tensor:
    """Numbers on their way to the device; from pinned memory, so that nobody waits for them."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
