"""Shards to batches: WebDataset streams the tars sequentially, neighbours are fetched beside the stream by offset.

All randomness is a function of (seed, epoch, clip): shuffling, crops, flips and the neighbour drawn for a clip do
not depend on processes, readers' speed or where a run was resumed. Images leave a reader as uint8 and sounds as
float16; they become float on the training device (`normalise_image`, `normalise_audio`).
"""

import os
import random
import warnings
from collections.abc import Callable, Iterator
from itertools import chain, islice, pairwise, repeat
from typing import Any

os.environ.setdefault("WDS_SECURE", "1")  # no pickle, no shell pipes: shards may come from anybody

import numpy as np
import torch
import webdataset
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from manifests.commands.counting import counted
from manifests.errors import InputError
from pipeline.media.front_ends import find_front_end
from pipeline.shards.codecs import decode_npy
from pipeline.shards.record import FRAME, SPECTROGRAM
from pipeline.shards.sources import source_numbers
from pipeline.shards.store import ShardStore
from pipeline.shards.tars import MAKE_AGAIN
from training.config import Data
from training.data.beside import Beside, collate_into
from training.data.classes import Classes
from training.data.order import Streams, epoch_sequence, segments, stream_rows
from training.data.positives import Positives
from training.data.reader_signals import obey_parent_alone
from training.data.refusals import Refusing, raised
from training.data.tar_samples import segment_samples
from training.data.views import (
    Crop,
    clip_random,
    croppable_size,
    cut,
    decode_image,
    drawn_crop,
    random_view,
    view_side,
)


class TrainingStream(IterableDataset):
    """One rank's micro-batches of one epoch, as lists with one entry per replica the rank serves.

    `selected` (N,) bool: the store's rows that are trained on. With `whole` losses are over all replicas' clips, and
    each micro-batch has them as its "company". InputError when the rows do not fill a batch.
    """

    def __init__(
        self,
        store: ShardStore,
        data: Data,
        selected: np.ndarray,
        streams: Streams,
        seed: int,
        replicas: range,
        positives: Positives | None,
        needs: frozenset[str] = frozenset(),
        classes: Classes | None = None,
        whole: bool = False,
        burst: tuple[int, float] = (0, 0.0),
    ) -> None:
        self.store, self.data, self.streams, self.seed = store, data, streams, seed
        self.replicas, self.positives, self.beside = replicas, positives, Beside(store, needs, burst)
        self.classes, self.whole = classes, whole
        self.side = view_side(data, store.short_side)
        self.selected, self._heard = selected, find_front_end(store.front_end).shape
        shards = store.table["shard"].to_pylist()
        self.source_of_row = source_numbers(store.table["source_id"].to_pylist()).astype(np.int64)
        self.shard_of_row = np.cumsum([0] + [a != b for a, b in pairwise(shards)])
        self._sizes = list(zip(store.table["height"].to_pylist(), store.table["width"].to_pylist(), strict=True))
        self.epoch, self.first_step = 0, 0
        if self.steps == 0:
            raise InputError(
                f"{store.folder} has {counted(int(self.selected.sum()), 'usable clip')}, fewer than optim.batch_size "
                f"{streams.batch_size}; lower it."
            )

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return self.streams.steps(int(self.selected.sum()))

    def start(self, epoch: int, first_step: int = 0) -> None:
        """Say which epoch the next iteration reads, and from which of its steps."""
        self.epoch, self.first_step = epoch, first_step

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        worker = torch.utils.data.get_worker_info()
        # the loader asks its workers in turn, beginning with worker 0: worker 0 must serve the first step
        reader = (self.first_step + (worker.id if worker else 0)) % self.streams.readers
        runs = [self._micro_batches(replica, reader, self._samples) for replica in self.replicas]
        for parts, company in zip(zip(*runs, strict=True), self._companies(reader), strict=False):
            yield [self._collate([self._decode(sample) for sample in part], company) for part in parts]

    def key_order(self) -> Iterator[tuple[list[list[str]], list[str] | None]]:
        """The keys of the micro-batches that the next iteration reads, found without reading a shard, and of the
        company where there is one."""
        readers = range(self.streams.readers)
        of_readers = [
            zip(self._keys(self.replicas, reader), self._companies(reader), strict=False) for reader in readers
        ]
        for step in range(self.first_step, self.steps):
            yield next(of_readers[step % len(readers)])

    def _keys(self, replicas: range, reader: int) -> Iterator[list[list[str]]]:
        """The keys of the steps that one reader serves, by replica."""
        runs = [self._micro_batches(replica, reader, self._named) for replica in replicas]
        return ([[sample["__key__"] for sample in part] for part in parts] for parts in zip(*runs, strict=True))

    def _companies(self, reader: int) -> Iterator[list[str] | None]:
        """The keys of the whole batch of each step that one reader serves; None for each where losses are of parts."""
        if not self.whole:
            return repeat(None)
        return (list(chain(*parts)) for parts in self._keys(range(self.streams.replicas), reader))

    def _micro_batches(
        self, replica: int, reader: int, read: Callable[[np.ndarray], Iterator[dict[str, Any]]]
    ) -> Iterator[list[dict[str, Any]]]:
        """The samples of each step that one reader serves one replica with, as `read` gives them for rows."""
        part = self.streams.batch_size // self.streams.replicas
        skipped = len(range(reader, self.first_step, self.streams.readers))
        samples = islice(self._shuffled(replica, reader, read), skipped * part, None)
        for number in range(skipped, self.streams.stream_steps(int(self.selected.sum()), reader)):
            batch = list(islice(samples, part))
            if len(batch) != part:
                raise InputError(
                    f"The shards in {self.store.folder} gave {len(batch)} of the {part} clips of part {replica} of "
                    f"step {reader + number * self.streams.readers} in epoch {self.epoch}, where their manifest has "
                    f"all. {MAKE_AGAIN}."
                )
            yield batch

    def _shuffled(
        self, replica: int, reader: int, read: Callable[[np.ndarray], Iterator[dict[str, Any]]]
    ) -> Iterator[dict[str, Any]]:
        """One stream's samples through a shuffle buffer, whose draws depend on their number alone."""
        sequence = epoch_sequence(self.shard_of_row, self.selected, self.seed, self.epoch)
        rows = stream_rows(sequence, self.streams, replica, reader)
        draw = random.Random(f"{self.seed}/{self.epoch}/{replica}/{reader}")
        buffer = webdataset.shuffle(self.data.shuffle, initial=self.data.shuffle, rng=draw)
        return buffer(read(rows))

    def _named(self, rows: np.ndarray) -> Iterator[dict[str, Any]]:
        """The rows' samples with nothing in them but their key."""
        return ({"__key__": self.store.keys[row]} for row in rows)

    def _samples(self, rows: np.ndarray) -> Iterator[dict[str, Any]]:
        """The rows in tar order: members by suffix, undecoded, and "__key__".

        Between two of them the tar may hold others, which are passed over.
        """
        wanted = {self.store.keys[row] for row in rows}
        for segment in segments(rows, self.shard_of_row):
            yield from (each for each in segment_samples(self.store, segment) if each["__key__"] in wanted)

    def _decode(self, sample: dict[str, Any]) -> dict[str, Any]:
        key = sample["__key__"]
        draw = clip_random(self.seed, self.epoch, key)
        image, audio = self._own(sample)
        crop = drawn_crop(image, self.data, draw)
        item = {"key": key, "image": cut(image, crop, self.side, self.data), "audio": audio}
        if self.beside.kinds:
            item["beside"] = self.beside_of(key, crop, image.shape[1], image.shape[2])
        if self.positives is not None and self.positives.fetched:
            item["neighbours"] = self._near(self.positives.draw(key, draw), draw)
        return item

    def beside_of(self, key: str, crop: Crop, height: int, width: int) -> dict[str, Tensor]:
        """What lies beside a clip, as the crop of its frame of this size shows it."""
        part = crop.part(*croppable_size(height, width, self.data))
        return self.beside.cut(self.store.row_of(key), part, crop.flipped, self.side)

    def _own(self, sample: dict[str, Any]) -> tuple[Tensor, np.ndarray]:
        row, store = self.store.row_of(sample["__key__"]), self.store
        image = store.decoded(row, FRAME, decode_image, sample[FRAME])
        audio = store.decoded(row, SPECTROGRAM, decode_npy, sample[SPECTROGRAM])
        self._check_shape(row, FRAME, tuple(image.shape[1:]), self._sizes[row])
        self._check_shape(row, SPECTROGRAM, audio.shape, self._heard)
        return image, audio

    def _check_shape(self, row: int, member: str, found: tuple[int, ...], wanted: tuple[int | None, ...]) -> None:
        if found != wanted and None not in wanted:  # a manifest of an earlier version may lack a column
            raise self.store.damaged(row, member, f"its shape is {found}, where {wanted} is expected")

    def _near(self, found: dict[str, Any], draw: random.Random) -> dict[str, Any]:
        """What is wanted of a clip's neighbours, the image as it is shown."""
        shown = {"image": random_view(found["image"], self.side, self.data, draw)} if "image" in found else {}
        return found | shown

    def named(self, keys: list[str]) -> dict[str, Any]:
        """What a batch says of clips beside what it shows of them: key, and by number row, video and perhaps class."""
        rows = [self.store.row_of(key) for key in keys]
        numbers = {"row": np.array(rows), "source": self.source_of_row[rows]}
        if self.classes is not None:
            numbers["label"] = self.classes.of_row[rows]
        return {"key": keys, **{name: torch.from_numpy(values) for name, values in numbers.items()}}

    def _collate(self, items: list[dict[str, Any]], company: list[str] | None) -> dict[str, Any]:
        batch: dict[str, Any] = {**self.named([item["key"] for item in items]), **_stacked(items)}
        collate_into(batch, items)
        if company is not None:
            batch["company"] = company
        if "neighbours" in items[0]:
            batch["neighbours"] = _stacked([item["neighbours"] for item in items])
        if self.positives is not None and self.positives.excluded:
            batch["exclusions"] = self.positives.exclusions(batch["key"], company)
        return batch


def _stacked(views: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Views of single clips as one batch: "image" (B, 3, S, S) uint8, "audio" (B, F, T) float16, or one of them.

    Images keep the memory format the JPEG decoder gives and convolutions like, channels last: other strides would
    cost a transposition here and one in training.
    """
    made = {}
    if "image" in views[0]:
        made["image"] = torch.stack([view["image"].permute(1, 2, 0) for view in views]).permute(0, 3, 1, 2)
    if "audio" in views[0]:
        made["audio"] = torch.from_numpy(np.stack([view["audio"] for view in views]))
    return made


def training_loader(stream: TrainingStream) -> Iterator[list[dict[str, Any]]]:
    """The stream through `data.workers` reader processes (none: in this process). InputError as the stream's own."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of more readers than cores: they take turns
        loader = DataLoader(
            Refusing(stream),
            batch_size=None,
            num_workers=stream.data.workers,
            worker_init_fn=obey_parent_alone,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=None if stream.data.workers == 0 else 4,
        )
    return raised(loader)
