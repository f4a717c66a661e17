"""Micro-batches as the readers leave them -> what a method sees: floats on the training device, augmented there."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pipeline.media.front_ends import find_front_end
from training.config import Data
from training.data.augment import audio_view, colour_jitter, image_view
from training.data.beside import KINDS, on_device
from training.data.views import normalise_audio, normalise_image, resized
from training.methods.contract import BaseMethod


def moved(part: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """A micro-batch with its tensors on the device; from pinned memory the copy is only begun."""

    def sent(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: sent(one) for name, one in value.items()}
        return value.to(device, non_blocking=True) if isinstance(value, Tensor) else value

    return sent(part)


class DeviceBatches:
    """Makes a method's batches of micro-batches that lie on its device."""

    def __init__(self, data: Data, method: BaseMethod, front_end: str) -> None:
        self.data, self.method, self.front_end = data, method, front_end

    def __call__(self, part: dict[str, Any]) -> dict[str, Any]:
        """Images (B, 3, S, S) uint8 and sounds (B, F, T) float16 -> a `Batch`; a frozen trunk's features stay."""
        named = {name: part[name] for name in ("key", "row", "source", "label") if name in part}
        batch = {**named, **self.views(part)}
        beside = {name: part[name] for name in KINDS & part.keys()}
        batch |= on_device(beside, part["row"].device, self.data.image_size)
        if "neighbours" in part:
            batch["neighbours"] = self.views(part["neighbours"])
        if "augmented" in self.method.needs:
            batch["augmented"] = self._views(part, *self.method.augmented_policies)
        if "exclusions" in part:
            batch["exclusions"] = part["exclusions"]
        return batch

    def views(self, part: dict[str, Any]) -> dict[str, Tensor]:
        """What the method sees and hears of clips under the run's own policies."""
        return self._views(part, self.data.image_policy, self.data.audio_policy)

    @cached_property
    def _silence(self) -> float:
        """What the shards' front end writes where nothing sounds."""
        return find_front_end(self.front_end).silence

    def _views(self, part: dict[str, Any], image_policy: str, audio_policy: str) -> dict[str, Tensor]:
        # no pixels, no spectrogram: features that a frozen trunk made of them before
        made = {name: part[name] for name in ("image", "audio") if name in part}
        if "image" in made and made["image"].dtype == torch.uint8:
            made["image"] = self._image(made["image"], image_policy)
        if "audio" in made and made["audio"].ndim == 3:
            made["audio"] = self._audio(made["audio"], audio_policy)
        return made

    # channels last: convolutions run 1.3 times faster on CPUs, 1.6 on an H200; bytes turn cheaper than floats

    def _image(self, pixels: Tensor, policy: str) -> Tensor:
        image = image_view(resized(pixels, self.data.image_size), policy)
        if self.data.colour_jitter:
            image = colour_jitter(image, self.data.colour_jitter, self.data.colours)
        return normalise_image(image.contiguous(memory_format=torch.channels_last))

    def _audio(self, spectrogram: Tensor, policy: str) -> Tensor:
        audio = normalise_audio(audio_view(spectrogram, policy, self._silence), self.data)
        return audio.contiguous(memory_format=torch.channels_last)
