"""A decoded frame becomes upright, paler, and lies under coloured heat, on planes of luma and chroma.

Upright and of one size it becomes by a graph of libavfilter's filters, where it is not yet. The heat is coloured at a
small size and enlarged, as it has no detail that more pixels would show. Filters draw it as well: they have the
processor's wide instructions, which take a fifth of numpy's time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import av
import numpy as np

from manifests.annotations import WHOLE, Box
from pipeline.media.colours import is_shown_as_stored
from pipeline.media.image import Placement
from pipeline.media.reader import MediaFile
from training.overlay.colours import heat_palette
from training.overlay.graphs import Chain, Step, frames
from training.overlay.planes import BLACK, NEUTRAL, Colours, colours_of, planes_of

COLOURED_SIDE = 128  # pixels a side at which a map is coloured
LEVELS = 256
SATURATION = 0.45
UNSEEN_BRIGHTNESS = 0.35
OPAQUE = 255  # drawn as it is, but for 1/256 of what is below
FORMS = {2: "yuv420p", 1: "yuv444p"}  # by what the sides of chroma are divided by
LIMITED = (0, 1)  # a frame's range where black is 16; players take it for this where it does not say


@dataclass(frozen=True)
class Kind:
    """What a graph is made for: frames of one shape, form and colours."""

    form: str
    size: tuple[int, int]
    space: int
    range: int
    placed: Placement
    colours: Colours

    def is_ready(self, form: str, size: tuple[int, int]) -> bool:
        """Whether nothing is left to do for frames of this form and size."""
        turned = self.placed.swapped or self.placed.mirrored or self.placed.flipped
        fits = (self.form, self.size, self.placed.size) == (form, size, size) and self.range in LIMITED
        return fits and not (turned or self.colours.changed)


@dataclass(frozen=True)
class Layer:
    """What lies over frames, as frames of their size and form: colours, and how opaque each of their values is."""

    colours: av.VideoFrame
    opacity: av.VideoFrame


class Canvas:
    """Draws heat over frames of one video; what it gives is of one size, whatever the frames'.

    fine: 2 for what is encoded, whose chroma has half the size and whose sides are even; 1 for single images.
    """

    def __init__(self, short_side: int, fine: int = 2) -> None:
        self.short_side, self.fine = short_side, fine
        self.form = FORMS[fine]
        self._size: tuple[int, int] | None = None
        self._colours: Colours | None = None
        self._upright: tuple[Kind, Chain] | None = None
        self._enlarging: dict[tuple[int, int], Chain] = {}
        self._clock = count()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height; those of the first frame."""
        assert self._size is not None, "no frame was taken yet"
        return self._size

    @property
    def colours(self) -> Colours:
        """Those of the first frame."""
        assert self._colours is not None, "no frame was taken yet"
        return self._colours

    def take(self, media: MediaFile, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame as a player shows it, of the canvas's form and size; it may be the decoder's own, so not for
        writing."""
        placed = media.placement(frame, self.short_side)
        if not is_shown_as_stored(frame):
            return self.take_pixels(media.pixels(frame, self.short_side)[0])
        return self._taken(frame, placed)

    def take_pixels(self, pixels: np.ndarray) -> av.VideoFrame:
        """As `take`, of pixels uint8 (H, W, 3)."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        size = frame.width, frame.height
        return self._taken(frame, Placement(*size, False, False, False, size))

    def _taken(self, frame: av.VideoFrame, placed: Placement) -> av.VideoFrame:
        if self._size is None:
            wide, tall = (max(self.fine, side - side % self.fine) for side in placed.size)
            self._size = wide, tall
        colours = colours_of(frame, self.size[1])
        self._colours = self._colours or colours
        size = frame.width, frame.height
        kind = Kind(frame.format.name, size, int(frame.colorspace), int(frame.color_range), placed, colours)
        if kind.is_ready(self.form, self.size):
            return frame
        if self._upright is None or self._upright[0] != kind:
            source = frames(size, kind.form, kind.space, kind.range)
            self._upright = kind, Chain([source], _steps(kind, self.size, self.form, self.fine))
        return self._upright[1].through(frame)

    def layer(self, heat: np.ndarray, part: Box = WHOLE) -> Layer:
        """Values (COLOURED_SIDE, COLOURED_SIDE) in 0..1 over a part of the frame, ready to be drawn over frames. Around
        the part it is dark and grey."""
        left, top, right, bottom = self.box(part)
        levels = np.round(np.clip(heat, 0, 1) * (LEVELS - 1)).astype(np.uint8)
        colours, opacity = (self._enlarged(values[levels], right - left, bottom - top) for values in self._table)
        if part == WHOLE:
            return Layer(colours, opacity)
        unseen = (BLACK, NEUTRAL, NEUTRAL), (round(256 * (1 - UNSEEN_BRIGHTNESS)), OPAQUE, OPAQUE)
        return Layer(self._amid(colours, unseen[0], left, top), self._amid(opacity, unseen[1], left, top))

    def _enlarged(self, values: np.ndarray, wide: int, tall: int) -> av.VideoFrame:
        """A frame of that size out of values uint8 (COLOURED_SIDE, COLOURED_SIDE, 3), one of each plane."""
        small = av.VideoFrame(COLOURED_SIDE, COLOURED_SIDE, self.form)
        for number, plane in enumerate(planes_of(small)):
            step = COLOURED_SIDE // plane.shape[0]
            plane[:] = values[::step, ::step, number]
        if (wide, tall) not in self._enlarging:
            source = frames((COLOURED_SIDE,) * 2, self.form, self.colours.number, 1)
            self._enlarging[wide, tall] = Chain([source], [("scale", f"{wide}:{tall}:flags=bilinear")])
        return self._enlarging[wide, tall].through(small)

    @cached_property
    def _table(self) -> np.ndarray:
        """uint8 (2, LEVELS, 3): for each level of heat the luma and chromas, and how opaque they are.

        Chroma is more opaque than luma, and drawn towards grey by as much: so what lies below becomes paler.
        """
        values = self.colours.of(heat_palette(LEVELS)).astype(np.float64)
        opacity = values[:, 3:] / 255
        of_chroma = 1 - SATURATION * (1 - opacity)
        colours = np.hstack([values[:, :1], NEUTRAL + (values[:, 1:3] - NEUTRAL) * opacity / of_chroma])
        opacities = 256 * np.hstack([opacity, of_chroma, of_chroma])
        return np.round(np.stack([colours, opacities])).clip(0, OPAQUE).astype(np.uint8)

    def _amid(self, frame: av.VideoFrame, around: Sequence[int], left: int, top: int) -> av.VideoFrame:
        """A frame of the canvas's size with another one in it at a place, and one value of each plane around that."""
        whole = av.VideoFrame(*self.size, self.form)
        for number, (plane, own) in enumerate(zip(planes_of(whole), planes_of(frame), strict=True)):
            x, y = (side // self.fine if number else side for side in (left, top))
            plane[:] = around[number]
            plane[y : y + own.shape[0], x : x + own.shape[1]] = own
        return whole

    def draw(self, frame: av.VideoFrame, layer: Layer) -> av.VideoFrame:
        """A frame that was taken, under a layer; a new frame."""
        together = frame, layer.colours, layer.opacity
        now = next(self._clock)
        for each in together:
            each.pts = now
        return self._drawing.through(*together)

    @cached_property
    def _drawing(self) -> Chain:
        """What frames carry beside pixels, as how a player turns them, is not of the result."""
        return Chain([self._own_frames] * 3, [("maskedmerge", ""), ("sidedata", "mode=delete")])

    def copy(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A frame that was taken, for writing."""
        return self._copying.through(frame)

    @cached_property
    def _copying(self) -> Chain:
        return Chain([self._own_frames], [("copy", ""), ("sidedata", "mode=delete")])

    @property
    def _own_frames(self) -> str:
        return frames(self.size, self.form, self.colours.number, 1)

    def box(self, part: Box) -> tuple[int, int, int, int]:
        """A part of the frame in whole pixels that chroma has as well: left, top, right, bottom."""
        left, top, right, bottom = (
            round(border * side / self.fine) * self.fine for border, side in zip(part, self.size * 2, strict=True)
        )
        return left, top, max(right, left + self.fine), max(bottom, top + self.fine)


def _steps(kind: Kind, size: tuple[int, int], form: str, fine: int) -> list[Step]:
    """Filters that bring a frame upright, to the size and form of the result."""
    placed = kind.placed
    matrix = f":out_color_matrix={kind.colours.name}" if kind.colours.changed else ""
    steps = [("scale", f"{placed.width}:{placed.height}:flags=bicubic:out_range=limited{matrix}"), ("setsar", "1")]
    steps += [("transpose", "dir=cclock_flip")] if placed.swapped else []
    steps += [("hflip", "")] if placed.mirrored else []
    steps += [("vflip", "")] if placed.flipped else []
    (wide, tall), (own_wide, own_tall) = size, placed.size
    is_near = 0 <= own_wide - wide < fine and 0 <= own_tall - tall < fine
    steps.append(("crop", f"{wide}:{tall}:0:0:exact=1") if is_near else ("scale", f"{wide}:{tall}"))
    return [*steps, ("format", form)]
