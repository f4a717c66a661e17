"""Frames as planes of luma and chroma, which is how videos store them: what is drawn is drawn there.

Nothing is turned into red, green and blue and back on the way, which takes most of the time of an overlay and some of
its colours. A blend of two colours is the same in both, as one is a linear map of the other.
"""

from dataclasses import dataclass
from typing import cast

import av
import numpy as np
from PIL import Image

BLACK, NEUTRAL = 16, 128  # luma of black, chroma of grey
BT601, BT709 = "bt601", "bt709"
_NUMBERS = {BT601: 6, BT709: 1}  # of ISO/IEC 23091-2
_NAMES = {1: BT709, 5: BT601, 6: BT601}
_UNSPECIFIED, _RGB = 2, 0
_LUMA = {BT601: (0.299, 0.587, 0.114), BT709: (0.2126, 0.7152, 0.0722)}
HIGH_DEFINITION = 720  # lines from which players take BT.709 for what does not say its colours


@dataclass(frozen=True)
class Colours:
    """By which weights luma and chroma are made. `said`: in the file, to be said in the result as well; `changed`: the
    frame has others and must be converted."""

    name: str
    said: bool
    changed: bool

    @property
    def number(self) -> int:
        return _NUMBERS[self.name] if self.said else _UNSPECIFIED

    def of(self, rgba: np.ndarray) -> np.ndarray:
        """uint8 (..., 4) red, green, blue, opacity -> luma (16 to 235), two chromas, opacity."""
        red, green, blue = (rgba[..., channel] / 255.0 for channel in range(3))
        weights = _LUMA[self.name]
        luma = weights[0] * red + weights[1] * green + weights[2] * blue
        chroma = (
            NEUTRAL + 112 * (colour - luma) / (1 - weight) for colour, weight in ((blue, weights[2]), (red, weights[0]))
        )
        stacked = np.stack([BLACK + 219 * luma, *chroma, rgba[..., 3]], axis=-1)
        return np.round(stacked).clip(0, 255).astype(np.uint8)


def colours_of(frame: av.VideoFrame, lines: int) -> Colours:
    """Those a frame has; where it has none that players know, BT.709 or BT.601 as its height suggests."""
    number = int(frame.colorspace)
    usual = BT709 if lines >= HIGH_DEFINITION else BT601
    if "rgb" in frame.format.name or number == _RGB:
        return Colours(usual, said=True, changed=True)
    if number == _UNSPECIFIED:
        return Colours(usual, said=False, changed=False)
    return Colours(_NAMES.get(number, BT709), said=True, changed=number not in _NAMES)


def planes_of(frame: av.VideoFrame) -> list[np.ndarray]:
    """Writable uint8 (H, W) views of a planar frame's planes."""
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(cast(memoryview, plane), np.uint8).reshape(-1, plane.line_size)
        views.append(rows[: plane.height, : plane.width])
    return views


@dataclass(frozen=True)
class Mix:
    """What becomes of a plane: each value times `keep` / 128, plus `added`, in all 255 at most; both uint8 (H, W)."""

    keep: np.ndarray
    added: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, opacity: np.ndarray) -> "Mix":
        """These values, uint8, over what is there, with an opacity of 255 at most."""
        share = opacity / 255.0
        return cls(np.floor(128 * (1 - share) + 1e-6).astype(np.uint8), (values * share).astype(np.uint8))

    def part(self, rows: slice, columns: slice) -> "Mix":
        return Mix(self.keep[rows, columns], self.added[rows, columns])

    def into(self, plane: np.ndarray) -> None:
        """Change a plane (H, W) in its place."""
        mixed = np.multiply(plane, self.keep, dtype=np.uint16)
        mixed >>= 7
        np.add(mixed, self.added, out=plane, casting="unsafe")


class Stamp:
    """A small image, uint8 (h, w, 4) RGBA, ready to be put on planes of these colours."""

    def __init__(self, rgba: np.ndarray, colours: Colours, fine: int) -> None:
        """fine: 2 where chroma is stored at half size, else 1."""
        tall, wide = (-(-side // fine) * fine for side in rgba.shape[:2])
        padded = np.zeros((tall, wide, 4), np.uint8)
        padded[: rgba.shape[0], : rgba.shape[1]] = rgba
        made = colours.of(padded)
        half = np.asarray(Image.fromarray(made, "RGBA").reduce(fine)) if fine > 1 else made
        self.fine, self.size = fine, (wide, tall)
        self._mixes = [Mix.of(made[..., 0], made[..., 3]), *(Mix.of(half[..., each], half[..., 3]) for each in (1, 2))]

    def put(self, planes: list[np.ndarray], left: int, top: int) -> None:
        """Draw it with its corner there, in pixels of the luma; what lies outside of the frame is cut off."""
        left, top = left - left % self.fine, top - top % self.fine
        for plane, mix, scale in zip(planes, self._mixes, (1, self.fine, self.fine), strict=False):
            x, y = left // scale, top // scale
            rows, columns = _within(y, mix.keep.shape[0], plane.shape[0]), _within(x, mix.keep.shape[1], plane.shape[1])
            own = mix.part(slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x))
            own.into(plane[rows, columns])


def _within(begin: int, length: int, limit: int) -> slice:
    first = min(max(begin, 0), limit)
    return slice(first, min(max(begin + length, first), limit))


def fill(planes: list[np.ndarray], box: tuple[int, int, int, int], colour: np.ndarray, fine: int) -> None:
    """Paint left, top, right, bottom (pixels) in one colour, as `Colours.of` gives it; at least one pixel."""
    for plane, value, scale in zip(planes, colour, (1, fine, fine), strict=False):
        left, top, right, bottom = (side // scale for side in box)
        plane[max(top, 0) : max(bottom, top + 1), max(left, 0) : max(right, left + 1)] = value
