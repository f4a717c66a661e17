"""The micro-batches of a `TrainingStream` without reading a shard: out of what is kept of its clips."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from index.arrays import MODALITIES
from training.data.beside import collated
from training.data.kept_rows import sent
from training.data.stream import TrainingStream
from training.data.views import Crop, clip_random, random_crop


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
