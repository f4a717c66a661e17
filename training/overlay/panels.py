"""One image or several side by side: each shows the same frame, with its own timeline over it or as it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
from PIL import Image

from manifests.annotations import Box
from pipeline.media.reader import MediaFile
from training.overlay.canvas import COLOURED_SIDE, Canvas
from training.overlay.marks import Marks
from training.overlay.planes import Colours, planes_of
from training.overlay.timeline import Timeline

REDRAWN = 12  # times a second that heat moves at most: more often is not seen
SHORT_SIDE, SHORT_SIDE_OF_SEVERAL = 720, 480  # a heat map has no detail that more pixels would show


@dataclass(frozen=True)
class Panel:
    """What is drawn over the frames, nothing where they are left as they are, and its name where there are several."""

    timeline: Timeline | None
    title: str = ""


class Panels:
    """Draws the panels of every frame of one video."""

    def __init__(self, panels: Sequence[Panel]) -> None:
        short = SHORT_SIDE if len(panels) == 1 else SHORT_SIDE_OF_SEVERAL
        self._drawers = [_Drawer(panel, Canvas(short)) for panel in panels]

    @property
    def colours(self) -> Colours:
        """Of what was drawn."""
        return self._drawers[0].canvas.colours

    def draw(self, media: MediaFile, frame: av.VideoFrame, seconds: float) -> av.VideoFrame:
        """yuv420p, the panels from left to right."""
        drawn = [drawer.draw(media, frame, seconds) for drawer in self._drawers]
        return drawn[0] if len(drawn) == 1 else _side_by_side(drawn)


class _Drawer:
    def __init__(self, panel: Panel, canvas: Canvas) -> None:
        self.panel, self.canvas, self.marks = panel, canvas, Marks(canvas)
        self._step: int | None = None

    def draw(self, media: MediaFile, frame: av.VideoFrame, seconds: float) -> av.VideoFrame:
        taken, timeline = self.canvas.take(media, frame), self.panel.timeline
        drawn = self.canvas.copy(taken) if timeline is None else self._under_heat(taken, timeline, seconds)
        if self.panel.title:
            self.marks.title(drawn, self.panel.title)
        return drawn

    def _under_heat(self, taken: av.VideoFrame, timeline: Timeline, seconds: float) -> av.VideoFrame:
        moment, step = timeline.before(seconds), int(seconds * REDRAWN)
        if step != self._step:
            self._step, self._heat = step, enlarged(timeline.at(seconds))
            self._layer = self.canvas.layer(self._heat, timeline.part(seconds))
        drawn = self.canvas.draw(taken, self._layer)
        part = timeline.part(seconds)
        self.marks.draw(drawn, self._heat, part, timeline.boxes[moment], timeline.warnings[moment])
        return drawn


def drawn_still(pixels: np.ndarray, heat: np.ndarray, part: Box, boxes: np.ndarray, warning: str) -> np.ndarray:
    """A single image uint8 (H, W, 3) with the heat (h, w) of a moment over a part of it, boxes (n, 5) and a warning."""
    canvas = Canvas(0, fine=1)
    large, taken = enlarged(heat), canvas.take_pixels(pixels)
    drawn = canvas.draw(taken, canvas.layer(large, part))
    Marks(canvas).draw(drawn, large, part, boxes, warning)
    return drawn.to_ndarray(format="rgb24", src_colorspace=canvas.colours.number)


def enlarged(heat: np.ndarray, side: int = COLOURED_SIDE) -> np.ndarray:
    """float32 (side, side) of a map (h, w), each cell an equal share; bilinear between the centres of cells."""
    return np.asarray(Image.fromarray(heat.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR))


def _side_by_side(frames: Sequence[av.VideoFrame]) -> av.VideoFrame:
    """Frames of one size next to each other."""
    result = av.VideoFrame(sum(frame.width for frame in frames), frames[0].height, frames[0].format.name)
    for number, plane in enumerate(planes_of(result)):
        plane[:] = np.concatenate([planes_of(frame)[number] for frame in frames], axis=1)
    return result
