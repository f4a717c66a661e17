"""What a method needs of a clip beside image and audio, read from the companion tars and brought to the image's view.

A method names it in `needs`; what was not ingested is refused before the first step, with the flag that makes it.
`training.methods.contract.Batch` says what each is to a method.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import roi_align

from manifests.annotations import Box
from manifests.views import ViewName, window
from pipeline.shards.companion_store import Waveform
from pipeline.shards.store import ShardStore
from training.data.bursts import burst_in_view, check_rate, consecutive
from training.data.made_sounds import made_waveform
from training.data.regions import in_view, usable
from training.data.views import normalise_image, resized

OF_IMAGES = frozenset({"proposals", "flow", "burst"})  # which a view of the image cuts and mirrors with it
KINDS = OF_IMAGES | {"waveform"}
FLOW_SIDE = 56  # cells of a view's flow
WAVEFORM_RATE, WAVEFORM_SECONDS = 11025, 3.0
WAVEFORM_SAMPLES = round(WAVEFORM_RATE * WAVEFORM_SECONDS)


class Heard(NamedTuple):
    """Whose sound goes with an image: that of the clip in a row, or a `made` one of this `name`.

    mixed: rows of further clips, for the mean of their sounds.
    """

    row: int
    made: str | None = None
    name: str = ""
    mixed: tuple[int, ...] = ()


class Beside:
    """Reads what of `needs` lies in companions; `burst`: how many consecutive images, and how many a second."""

    def __init__(self, store: ShardStore, needs: frozenset[str], burst: tuple[int, float] = (0, 0.0)) -> None:
        self.store, self.kinds, self.burst = store, needs & KINDS, burst

    def check(self, row: int) -> None:
        """InputError where a companion that is needed was not made, or holds other images than those that are."""
        for kind in sorted(self.kinds - {"burst"}):
            getattr(self.store.companions, kind)(row)
        if "burst" in self.kinds:
            check_rate(self.store, row, *self.burst)

    def cut(self, row: int, part: Box, flipped: bool, side: int) -> dict[str, Tensor]:
        """Of the clip in a row, whose image shows `part` of the frame (fractions), perhaps mirrored, in a square of
        `side` pixels."""
        return self._seen(row, part, flipped, side) | self._heard(Heard(row))

    def shown(self, row: int, view: ViewName, size: int, heard: Heard | None = None) -> dict[str, Tensor]:
        """Of the clip in a row as a test shows it to a model of this image size, with its own sound or another."""
        height, width = (self.store.table[side][row].as_py() for side in ("height", "width"))
        part = window(view, height, width, size).part
        return self._seen(row, part, False, size) | self._heard(heard or Heard(row))

    def _seen(self, row: int, part: Box, flipped: bool, side: int) -> dict[str, Tensor]:
        found, companions = dict[str, Tensor](), self.store.companions
        if "proposals" in self.kinds:
            boxes = in_view(np.asarray(companions.proposals(row), np.float64), part, flipped)
            found["proposals"] = torch.from_numpy(usable(boxes).astype(np.float32))
        if "flow" in self.kinds:
            found["flow"] = flow_in_view(companions.flow(row), part, flipped)
        if "burst" in self.kinds:
            found["burst"] = burst_in_view(consecutive(self.store, row, *self.burst), part, flipped, side)
        return found

    def _heard(self, heard: Heard) -> dict[str, Tensor]:
        if "waveform" not in self.kinds:
            return {}
        if heard.made is not None:
            return {"waveform": torch.from_numpy(made_waveform(heard.made, heard.name, WAVEFORM_SAMPLES))}
        return {"waveform": torch.from_numpy(mean_of([self._waveform(row) for row in (heard.row, *heard.mixed)]))}

    def _waveform(self, row: int) -> np.ndarray:
        return around(self.store.companions.waveform(row), self.store.table["moment"][row].as_py())


def mean_of(sounds: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of sounds of one shape, in their own type; a single one as it is."""
    if len(sounds) == 1:
        return sounds[0]
    return np.mean(sounds, axis=0, dtype=np.float32).astype(sounds[0].dtype)


def flow_in_view(field: np.ndarray, part: Box, flipped: bool) -> Tensor:
    """A frame's flow (2, h, w) as a part of it shows it: float32 (2, 56, 56), in sides of the view a second."""
    left, top, right, bottom = part
    height, width = field.shape[1:]
    corners = torch.tensor([[left * width, top * height, right * width, bottom * height]], dtype=torch.float32)
    whole = torch.from_numpy(field.astype(np.float32))[None]
    # pyrefly: ignore[not-callable]  # torchvision exports a function and a module of this name
    cut = roi_align(whole, [corners], FLOW_SIDE, sampling_ratio=2, aligned=True)[0]
    cut = cut / torch.tensor([right - left, bottom - top]).view(2, 1, 1)
    return cut.flip(-1) * torch.tensor([-1.0, 1.0]).view(2, 1, 1) if flipped else cut


def around(waveform: Waveform, moment: float) -> np.ndarray:
    """float32 (33075,): the 3 s around a moment of the clip at 11025 Hz, silent where the recording has nothing."""
    from scipy.signal import resample_poly

    length = round(WAVEFORM_SECONDS * waveform.rate)
    first = round((moment - waveform.start - WAVEFORM_SECONDS / 2) * waveform.rate)
    own = waveform.samples[max(first, 0) : max(first + length, 0)]
    covered = np.zeros(length, np.float32)
    covered[max(-first, 0) : max(-first, 0) + len(own)] = own
    if waveform.rate == WAVEFORM_RATE:
        return covered
    return resample_poly(covered, WAVEFORM_RATE, waveform.rate).astype(np.float32)[:WAVEFORM_SAMPLES]


def on_device(found: Mapping[str, Tensor], device: torch.device, size: int) -> dict[str, Tensor]:
    """What lies beside a batch as methods are given it; consecutive images (B, N, 3, size, size) as any image is."""
    sent = {name: value.to(device) for name, value in found.items()}
    if "burst" in sent:
        sent["burst"] = normalise_image(resized(sent["burst"], size))
    return sent


def collated(clips: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Of single clips one batch, (B, longest, ...), filled up with 0."""
    names = clips[0] if clips else {}
    return {name: pad_sequence([clip[name] for clip in clips], batch_first=True) for name in names}


def collate_into(batch: dict[str, Any], clips: Sequence[dict[str, Any]]) -> None:
    """Put what lies beside the clips of a batch into it."""
    batch |= collated([clip["beside"] for clip in clips if "beside" in clip])
