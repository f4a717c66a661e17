"""A decoded frame becomes upright, paler, and lies under coloured heat, on planes of luma and chroma.

Upright and of one size it becomes by a graph of libavfilter's filters, where it is not yet. The heat is coloured at a
small size and enlarged, as it has no detail that more pixels would show.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from typing import cast

import av
import numpy as np
from av.filter import Graph

from manifests.annotations import WHOLE, Box
from pipeline.media.colours import RGB, TRANSFERS, samples_needed
from pipeline.media.image import Placement
from pipeline.media.reader import MediaFile
from training.overlay.colours import heat_palette
from training.overlay.planes import BLACK, NEUTRAL, Colours, Mix, colours_of, kept, planes_of

COLOURED_SIDE = 128  # pixels a side at which a map is coloured
LEVELS = 256
SATURATION = 0.45
UNSEEN_BRIGHTNESS = 0.35
FORMS = {2: ("yuv420p", "yuva420p"), 1: ("yuv444p", "yuva444p")}  # by what the sides of chroma are divided by
CLOCK = "1/90000"
HELD = 16  # frames that were drawn and are not yet encoded, at most
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


class Canvas:
    """Draws heat over frames of one video; what it gives is of one size, whatever the frames'.

    fine: 2 for what is encoded, whose chroma has half the size and whose sides are even; 1 for single images.
    """

    def __init__(self, short_side: int, fine: int = 2) -> None:
        self.short_side, self.fine = short_side, fine
        self.form, self._layer_form = FORMS[fine]
        self._size: tuple[int, int] | None = None
        self._colours: Colours | None = None
        self._graph: tuple[Kind, _Graph] | None = None
        self._enlarging: dict[tuple[str, int, int], _Graph] = {}

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
        if samples_needed(frame.format.name, TRANSFERS.get(int(frame.color_trc))) != RGB:
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
        if self._graph is None or self._graph[0] != kind:
            source = _frames(size, kind.form, kind.space, kind.range)
            self._graph = kind, _Graph(source, _steps(kind, self.size, self.form, self.fine))
        return self._graph[1].through(frame)

    def layer(self, heat: np.ndarray, part: Box = WHOLE) -> list[Mix]:
        """Values (COLOURED_SIDE, COLOURED_SIDE) in 0..1 over a part of the frame, ready to be drawn over frames: what
        becomes of each plane. Around the part it is dark and grey. It holds until the next one is made."""
        left, top, right, bottom = self.box(part)
        wide, tall = right - left, bottom - top
        values = self._table[np.round(np.clip(heat, 0, 1) * (LEVELS - 1)).astype(np.uint8)]
        *added, keep = self._enlarged(values[..., :4], self._layer_form, wide, tall)
        (paler,) = self._enlarged(values[..., 4:], "gray", wide // self.fine, tall // self.fine)
        mixes = [Mix(keep, added[0]), Mix(paler, added[1]), Mix(paler, added[2])]
        return mixes if part == WHOLE else [self._surrounded(mix, each, left, top) for each, mix in enumerate(mixes)]

    def _enlarged(self, values: np.ndarray, form: str, wide: int, tall: int) -> list[np.ndarray]:
        """Planes (tall, wide) of values uint8 (COLOURED_SIDE, COLOURED_SIDE, planes); chroma's smaller."""
        small = av.VideoFrame(COLOURED_SIDE, COLOURED_SIDE, form)
        for number, plane in enumerate(planes_of(small)):
            step = COLOURED_SIDE // plane.shape[0]
            plane[:] = values[::step, ::step, number]
        if (form, wide, tall) not in self._enlarging:
            shape = _frames((COLOURED_SIDE,) * 2, form, self.colours.number, 1)
            self._enlarging[form, wide, tall] = _Graph(shape, [("scale", f"{wide}:{tall}:flags=bilinear")])
        return planes_of(self._enlarging[form, wide, tall].through(small))

    @cached_property
    def _table(self) -> np.ndarray:
        """uint8 (LEVELS, 5): what each level of heat adds to luma and chromas, what it keeps of luma and of chroma."""
        values = self.colours.of(heat_palette(LEVELS)).astype(np.float64)
        opacity = values[:, 3] / 255
        grey = NEUTRAL * (1 - SATURATION * (1 - opacity)) + 0.5  # of what is kept the fraction is cut off
        luma = (opacity * values[:, 0] - 1).clip(0)  # by one less, so that white does not run over between two levels
        added = [luma, *(grey + opacity * (values[:, each] - NEUTRAL) for each in (1, 2))]
        keeps = [kept(1 - opacity), kept(SATURATION * (1 - opacity))]
        return np.stack([*(np.round(each) for each in added), *keeps], axis=1).astype(np.uint8)

    def _surrounded(self, mix: Mix, number: int, left: int, top: int) -> Mix:
        """A part's mix of a plane within that of the whole."""
        scale = self.fine if number else 1
        wide, tall = (side // scale for side in self.size)
        share, rest = (0.0, NEUTRAL) if number else (UNSEEN_BRIGHTNESS, BLACK * (1 - UNSEEN_BRIGHTNESS))
        around = Mix(np.full((tall, wide), kept(np.array(share))), np.full((tall, wide), round(rest), np.uint8))
        high, across = mix.keep.shape
        rows, columns = slice(top // scale, top // scale + high), slice(left // scale, left // scale + across)
        around.keep[rows, columns], around.added[rows, columns] = mix.keep, mix.added
        return around

    def draw(self, frame: av.VideoFrame, layer: list[Mix]) -> av.VideoFrame:
        """A frame that was taken, under a layer. It holds until HELD more were drawn."""
        drawn = next(self._drawn)
        planes = zip(layer, planes_of(frame), planes_of(drawn), self._scratch, strict=True)
        for mix, plane, result, scratch in planes:
            mix.into(plane, result, scratch)
        return drawn

    def copy(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A frame that was taken, for writing; as `draw`."""
        drawn = next(self._drawn)
        for plane, result in zip(planes_of(frame), planes_of(drawn), strict=True):
            result[:] = plane
        return drawn

    @cached_property
    def _drawn(self) -> Iterator[av.VideoFrame]:
        """The same frames again and again: memory that is new each time costs more than the drawing."""
        return cycle([av.VideoFrame(*self.size, self.form) for _ in range(HELD)])

    @cached_property
    def _scratch(self) -> list[np.ndarray]:
        wide, tall = self.size
        luma, chroma = np.empty((tall, wide), np.uint16), np.empty((tall // self.fine, wide // self.fine), np.uint16)
        return [luma, chroma, chroma]

    def box(self, part: Box) -> tuple[int, int, int, int]:
        """A part of the frame in whole pixels that chroma has as well: left, top, right, bottom."""
        left, top, right, bottom = (
            round(border * side / self.fine) * self.fine for border, side in zip(part, self.size * 2, strict=True)
        )
        return left, top, max(right, left + self.fine), max(bottom, top + self.fine)


class _Graph:
    """A chain of filters, by name and options, that gives one frame for each."""

    def __init__(self, source: str, steps: list[tuple[str, str]]) -> None:
        graph = self._kept = Graph()  # its filters do not keep it
        graph.threads = 1
        self._source, self._result = graph.add("buffer", source), graph.add("buffersink")
        graph.link_nodes(self._source, *(graph.add(name, options) for name, options in steps), self._result).configure()

    def through(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._source.push(frame)
        return cast(av.VideoFrame, self._result.pull())


def _frames(size: tuple[int, int], form: str, space: int, range: int) -> str:
    """Options of a graph's source."""
    shape = f"video_size={size[0]}x{size[1]}:pix_fmt={form}:colorspace={space}:range={range}"
    return f"{shape}:time_base={CLOCK}:pixel_aspect=1/1"


def _steps(kind: Kind, size: tuple[int, int], form: str, fine: int) -> list[tuple[str, str]]:
    """Filters by name and options that bring a frame upright, to the size and form of the result."""
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
