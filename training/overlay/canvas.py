"""A decoded frame becomes upright, paler, and lies under coloured heat: one graph of libavfilter's filters for each
kind of frame, which works on planes of luma and chroma and takes milliseconds.

The heat is coloured at a small size and enlarged by the graph, as it has no detail that more pixels would show.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.filter import Graph

from manifests.annotations import WHOLE, Box
from pipeline.media.colours import RGB, TRANSFERS, samples_needed
from pipeline.media.image import Placement
from pipeline.media.reader import MediaFile
from training.overlay.colours import heat_palette
from training.overlay.planes import NEUTRAL, Colours, colours_of, darken, planes_of

COLOURED_SIDE = 128  # pixels a side at which a map is coloured
LEVELS = 256
SATURATION = 0.45
UNSEEN_BRIGHTNESS = 0.35
CLOCK = Fraction(1, 90_000)
FORMS = {2: ("yuv420p", "yuva420p", "yuv420"), 1: ("yuv444p", "yuva444p", "yuv444")}  # by what chroma is divided by


@dataclass(frozen=True)
class Kind:
    """What a graph is made for: frames of one shape, form and colours, and the part of them that heat covers."""

    form: str
    size: tuple[int, int]
    space: int
    range: int
    placed: Placement
    part: Box
    colours: Colours


class Canvas:
    """Draws heat over frames of one video; what it gives is of one size, whatever the frames'.

    fine: 2 for what is encoded, whose chroma has half the size and whose sides are even; 1 for single images. plain:
    the frames are left as they are.
    """

    def __init__(self, short_side: int, fine: int = 2, plain: bool = False) -> None:
        self.short_side, self.fine, self.plain = short_side, fine, plain
        self.size: tuple[int, int] | None = None  # width and height; that of the first frame
        self.colours: Colours | None = None  # of the first frame
        self._kind: Kind | None = None

    def draw(self, media: MediaFile, frame: av.VideoFrame, heat: np.ndarray, part: Box = WHOLE) -> av.VideoFrame:
        """The frame with values (COLOURED_SIDE, COLOURED_SIDE) in 0..1 over a part of it."""
        placed = media.placement(frame, self.short_side)
        if samples_needed(frame.format.name, TRANSFERS.get(int(frame.color_trc))) != RGB:
            return self.draw_pixels(media.pixels(frame, self.short_side)[0], heat, part)
        return self._drawn(frame, placed, heat, part)

    def draw_pixels(self, pixels: np.ndarray, heat: np.ndarray, part: Box = WHOLE) -> av.VideoFrame:
        """As `draw`, over pixels uint8 (H, W, 3)."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        size = (frame.width, frame.height)
        return self._drawn(frame, Placement(*size, False, False, False, size), heat, part)

    @property
    def colours_drawn(self) -> Colours:
        """Those of what was drawn."""
        assert self.colours is not None, "nothing was drawn"
        return self.colours

    def box(self, part: Box) -> tuple[int, int, int, int]:
        """A part of the frame in whole pixels that chroma has as well: left, top, right, bottom."""
        size = cast(tuple[int, int], self.size)
        left, top, right, bottom = (
            round(border * side / self.fine) * self.fine for border, side in zip(part, size * 2, strict=True)
        )
        return left, top, max(right, left + self.fine), max(bottom, top + self.fine)

    def _drawn(self, frame: av.VideoFrame, placed: Placement, heat: np.ndarray, part: Box) -> av.VideoFrame:
        if self.size is None:
            wide, tall = (max(self.fine, side - side % self.fine) for side in placed.size)
            self.size = wide, tall
        colours = colours_of(frame, self.size[1])
        self.colours = self.colours or colours
        size = (frame.width, frame.height)
        kind = Kind(frame.format.name, size, int(frame.colorspace), int(frame.color_range), placed, part, colours)
        if kind != self._kind:
            self._kind, self._graph = kind, _Graph(kind, self)
        drawn = self._graph.draw(frame, heat)
        if part != WHOLE and not self.plain:
            self._shade(planes_of(drawn), part)
        return drawn

    def _shade(self, planes: list[np.ndarray], part: Box) -> None:
        """Grey and dark around what was seen."""
        (left, top, right, bottom), (wide, tall) = self.box(part), cast(tuple[int, int], self.size)
        around = ((0, 0, wide, top), (0, bottom, wide, tall), (0, top, left, bottom), (right, top, wide, bottom))
        for box in around:
            darken(planes, box, UNSEEN_BRIGHTNESS, self.fine)


class _Graph:
    """The filters for one kind of frame."""

    def __init__(self, kind: Kind, canvas: Canvas) -> None:
        self.plain, self.fine = canvas.plain, canvas.fine
        self.form, self.layer_form, blended = FORMS[canvas.fine]
        self.palette = kind.colours.of(heat_palette(LEVELS))
        self.ticks = 0
        graph = self._kept = Graph()  # its filters do not keep it
        graph.threads = 1
        self._under = graph.add("buffer", _frames(kind.size, kind.form, kind.space, kind.range))
        chain = [graph.add(name, options) for name, options in _steps(kind, cast(tuple[int, int], canvas.size), self)]
        self._result = graph.add("buffersink")
        if not self.plain:
            self._over = graph.add("buffer", _frames((COLOURED_SIDE,) * 2, self.layer_form, kind.colours.number, 1))
            left, top, right, bottom = canvas.box(kind.part)
            enlarged = graph.add("scale", f"{right - left}:{bottom - top}:flags=bilinear")
            laid = graph.add("overlay", f"{left}:{top}:format={blended}")
            self._over.link_to(enlarged)
            enlarged.link_to(laid, 0, 1)
            chain.append(laid)
        graph.link_nodes(self._under, *chain, self._result)
        graph.configure()

    def draw(self, frame: av.VideoFrame, heat: np.ndarray) -> av.VideoFrame:
        self.ticks += 1
        frame.pts, frame.time_base = self.ticks, CLOCK
        self._under.push(frame)
        if not self.plain:
            self._over.push(self._layer(heat))
        return cast(av.VideoFrame, self._result.pull())

    def _layer(self, heat: np.ndarray) -> av.VideoFrame:
        values = self.palette[np.round(np.clip(heat, 0, 1) * (LEVELS - 1)).astype(np.intp)]
        layer = av.VideoFrame(COLOURED_SIDE, COLOURED_SIDE, self.layer_form)
        for number, plane in enumerate(planes_of(layer)):
            step = self.fine if number in (1, 2) else 1
            plane[:] = values[::step, ::step, number]
        layer.pts, layer.time_base = self.ticks, CLOCK
        return layer


def _frames(size: tuple[int, int], form: str, space: int, range: int) -> str:
    """Options of a graph's source."""
    clock = f"time_base={CLOCK.numerator}/{CLOCK.denominator}:pixel_aspect=1/1"
    return f"video_size={size[0]}x{size[1]}:pix_fmt={form}:{clock}:colorspace={space}:range={range}"


def _steps(kind: Kind, size: tuple[int, int], graph: _Graph) -> list[tuple[str, str]]:
    """Filters by name and options that bring a frame upright, to the size and form of the result."""
    placed, made = kind.placed, kind.colours
    matrix = f":out_color_matrix={made.name}" if made.changed else ""
    steps = [("scale", f"{placed.width}:{placed.height}:flags=bicubic:out_range=limited{matrix}"), ("setsar", "1")]
    steps += [("transpose", "dir=cclock_flip")] if placed.swapped else []
    steps += [("hflip", "")] if placed.mirrored else []
    steps += [("vflip", "")] if placed.flipped else []
    wide, tall = placed.size
    is_near = 0 <= wide - size[0] < graph.fine and 0 <= tall - size[1] < graph.fine
    steps.append(("crop", f"{size[0]}:{size[1]}:0:0:exact=1") if is_near else ("scale", f"{size[0]}:{size[1]}"))
    steps.append(("format", graph.form))
    paler = f"(val-{NEUTRAL})*{SATURATION}+{NEUTRAL}"
    return steps if graph.plain else [*steps, ("lutyuv", f"u={paler}:v={paler}")]
