"""What frozen trunks make of every clip, computed once and kept: epochs after that cost the heads only.

A frozen image trunk gives the same features whenever it sees the same pixels. So where nothing moves or changes them
(no crop, no flip, no augmentation), its features stay in memory, on the device that trains as far as it has room, and
beside them those of a frozen audio trunk, or the spectrograms for a trained one. They are made by the very steps that
make a batch, so that a run comes to the same losses with and without.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from index.encoders.tensor_file import UNREADABLE, read_tensors, write_tensors
from manifests.errors import InputError
from manifests.files.checksums import Damaged
from manifests.files.given import check_lasting, has_file
from training.config import Data
from training.data.kept_rows import KeptRows
from training.data.resident import decoded, sizes_of_frames
from training.data.stream import TrainingStream
from training.data.views import Crop, moving, resized
from training.encoders.kept import asked
from training.encoders.projection import ProjectedTrunk
from training.loop.device_batches import DeviceBatches, moved
from training.loop.room import Room
from training.methods.contract import BaseMethod

OF = "of"  # in a file's metadata: what decides its features, as its name has it
STILL = "data.squash true, crop_scale 1, flip false, colour_jitter 0, image_policy none"


@dataclass(frozen=True)
class Trunks:
    """The frozen trunks of a method; None for one that is trained, or that the method does not have."""

    image: nn.Module | None
    audio: nn.Module | None
    audio_entry: str  # what the method calls of the latter

    @classmethod
    def of(cls, method: BaseMethod, data: Data) -> "Trunks":
        """None also for the audio trunk where sounds are augmented, or do not go into that trunk alone."""
        image, audio = (next(iter(frozen_trunks(method, f"{name}_trunk")), None) for name in ("image", "audio"))
        still = data.audio_policy == "none" and "audio" in method.only_for_trunks
        return cls(image, audio if still else None, method.audio_entry)


def frozen_trunks(method: nn.Module, name: str) -> list[nn.Module]:
    """The trunk of that name without what is trained behind it, and its copies; none unless every one is frozen."""
    named = (getattr(part, name, None) for part in method.modules())
    found = [part.trunk if isinstance(part, ProjectedTrunk) else part for part in named if isinstance(part, nn.Module)]
    trunks = list(dict.fromkeys(found))
    trained = any(parameter.requires_grad for trunk in trunks for parameter in trunk.parameters())
    return [] if trained else trunks


def add_trunk(digest: "hashlib._Hash", trunk: nn.Module) -> None:
    """All that decides what a trunk computes into a digest: its layers (the same weights at another stride make other
    features), and names and values of its weights."""
    digest.update(repr(trunk).encode())
    for name, value in trunk.state_dict().items():
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())


def why_not(method: BaseMethod, data: Data, sizes: np.ndarray) -> str | None:
    """Why a frozen image trunk has to see every clip anew in each epoch; None when it has not.

    sizes (N, 2): height and width of the frames that crops are cut from.
    """
    if "image" not in method.only_for_trunks:
        return "the method looks at the images themselves"
    if "augmented" in method.needs:
        return "the method wants augmented views"
    if data.image_policy != "none" or data.colour_jitter or data.flip or moving(sizes, data):
        return f"its images change from epoch to epoch (they stand still with {STILL})"
    return None


class KeptFeatures:
    """A `Resident` of features (B, C, h, w) in place of images, and (B, D) or (B, D, f, t) in place of spectrograms.

    Spectrograms stay what they are for an audio trunk that is trained. In `folder` other runs find what one has
    computed. `refused`: why nothing was kept, if nothing was; else `where` says what lies where, and `bytes` what it
    takes of the device's memory.
    """

    def __init__(
        self,
        stream: TrainingStream,
        trunks: Trunks,
        batches: DeviceBatches,
        autocast: Callable[[], AbstractContextManager[None]],
        room: Room,
        folder: Path | None = None,
    ) -> None:
        self.room, self.device, self._side = room, room.device, stream.side
        self._batches, self._autocast, self._trunks = batches, autocast, trunks
        rows = np.flatnonzero(stream.selected)
        self._place = {int(row): place for place, row in enumerate(rows)}
        self._together = stream.streams.batch_size // stream.streams.replicas
        self._sizes = sizes_of_frames(stream.store, stream.data, rows)
        self.bytes, self.where = 0, ""
        self.refused: str | None = None
        file = None if folder is None else folder / f"{self._identity(stream)}.safetensors"
        if file is not None and has_file(file):
            self._read(file)
            return
        self._compute(stream, rows)
        if file is not None and self.refused is None:
            self._write(file)

    def _compute(self, stream: TrainingStream, rows: np.ndarray) -> None:
        for clips, pixels, audio in decoded(stream.store, stream.data, rows, "computing what frozen trunks see"):
            image, heard = self._features(pixels, audio)
            image = image.permute(0, 2, 3, 1)  # channels last, as convolutions give and like them
            if clips.start == 0:
                on_device = self._divided(image, heard)
                if on_device is None:
                    return
                each = np.ones(len(rows), dtype=np.int64)
                self._images, self._audio = (
                    KeptRows(each, on_device, made.shape[1:], made.dtype, self.device) for made in (image, heard)
                )
            self._images.put(clips, image)
            self._audio.put(clips, heard)

    def _identity(self, stream: TrainingStream) -> str:
        """What decides the features: clips, how they are shown, the trunks and their precision."""
        data, digest = stream.data, hashlib.sha256()
        one = torch.ones(1, 1, device=self.device)
        with self._autocast():
            precision = one.mm(one).dtype
        shown = (data.image_size, data.squash, data.audio_mean, data.audio_deviation, self._together)
        keys = [stream.store.keys[row] for row in self._place]
        digest.update(repr((stream.store.manifest_sha256, keys, shown, precision)).encode())
        for trunk in (self._trunks.image, self._trunks.audio):
            if trunk is not None:
                add_trunk(digest, trunk)
        if self._trunks.audio is not None and self._trunks.audio_entry != "forward":
            digest.update(self._trunks.audio_entry.encode())
        return digest.hexdigest()[:16]

    def _read(self, file: Path) -> None:
        try:
            found, metadata = read_tensors(file)
            self._check_kept(found, metadata.get(OF, file.stem) == file.stem)
        except UNREADABLE as error:
            check_lasting(file, error)
            raise InputError(f"{file} is no readable file of features ({error}); delete it to have it made.") from error
        on_device = self._divided(found["image"], found["audio"])
        if on_device is not None:
            self._images = KeptRows.holding(found.pop("image"), on_device, self.device)
            self._audio = KeptRows.holding(found.pop("audio"), on_device, self.device)

    def _check_kept(self, found: Mapping[str, Tensor], own: bool) -> None:
        """Damaged for features that are not these clips' and trunks', under whose name the file lies."""
        if not own:
            raise Damaged("its features are of other clips or trunks: another file was put in its place")
        counts = [len(found[name]) if name in found and found[name].dim() else 0 for name in ("image", "audio")]
        if counts != 2 * [len(self._place)]:
            raise Damaged(f"it has images of {counts[0]:,} clips and sounds of {counts[1]:,}, not {len(self._place):,}")

    def _write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(file, {"image": self._images.whole(), "audio": self._audio.whole()}, {OF: file.stem})

    def _divided(self, image: Tensor, heard: Tensor) -> np.ndarray | None:
        """Whose features, of the size of some clips', lie on the device; None, and `refused`, without room for all."""
        each = sum(some[0].numel() * some.element_size() for some in (image, heard))
        sizes = np.full(len(self._place), each)
        on_device = self.room.divided(sizes)
        if on_device is None:
            self.refused = f"its features {self.room.too_small(sizes)}"
            return None
        self.bytes, self.where = int(sizes[on_device].sum()), self.room.where(sizes, on_device)
        return on_device

    @torch.no_grad()
    def _features(self, pixels: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels (P, 3) of square frames one after the other, and their sounds (n, F, T), through the frozen trunks.

        As many clips go together as in a step: kernels for other numbers round differently. A last part is filled up.
        """
        height, width = self._sizes[0]
        frames = pixels.view(len(audio), int(height), int(width), 3).permute(0, 3, 1, 2)
        images, sounds = [], []
        for first in range(0, len(audio), self._together):
            chosen = torch.arange(first, first + self._together) % len(audio)
            image, heard = self._of_part(frames[chosen], audio[chosen])
            images.append(image[: len(audio) - first])
            sounds.append(heard[: len(audio) - first])
        return torch.cat(images), torch.cat(sounds)

    def _of_part(self, frames: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        part = moved({"image": resized(frames, self._side), "audio": audio}, self.device)
        assert self._trunks.image is not None
        with self._autocast():
            batch = self._batches.views(part)
            image = self._trunks.image(batch["image"])
            heard = part["audio"]
            if self._trunks.audio is not None:
                heard = asked(self._trunks.audio, self._trunks.audio_entry)(batch["audio"])
        return image, heard

    def size(self, row: int) -> tuple[int, int]:
        """Height and width of what a clip's one crop is."""
        height, width = self._sizes[self._place[row]]
        return int(height), int(width)

    def images(self, rows: Sequence[int], crops: Sequence[Crop] = (), side: int = 0) -> Tensor:
        """Features (B, C, h, w), channels last; every crop is the whole frame."""
        return self._images.of(self._places(rows)).permute(0, 3, 1, 2)

    def audio(self, rows: Sequence[int]) -> Tensor:
        """Features (B, D), cells (B, D, f, t), or spectrograms (B, F, T) float16."""
        return self._audio.of(self._places(rows))

    def _places(self, rows: Sequence[int]) -> np.ndarray:
        return np.array([self._place[row] for row in rows])
