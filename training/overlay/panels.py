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
        self._drawers = [_Drawer(panel, Canvas(short, plain=panel.timeline is None)) for panel in panels]

    @property
    def colours(self) -> Colours:
        """Of what was drawn."""
        return self._drawers[0].canvas.colours_drawn

    def draw(self, media: MediaFile, frame: av.VideoFrame, seconds: float) -> av.VideoFrame:
        """yuv420p, the panels from left to right."""
        drawn = [drawer.draw(media, frame, seconds) for drawer in self._drawers]
        return drawn[0] if len(drawn) == 1 else _side_by_side(drawn)


class _Drawer:
    def __init__(self, panel: Panel, canvas: Canvas) -> None:
        self.panel, self.canvas, self.marks = panel, canvas, Marks(canvas)

    def draw(self, media: MediaFile, frame: av.VideoFrame, seconds: float) -> av.VideoFrame:
        timeline, title = self.panel.timeline, self.panel.title
        if timeline is None:
            drawn = self.canvas.draw(media, frame, np.zeros((COLOURED_SIDE,) * 2, np.float32))
        else:
            heat, part = enlarged(timeline.at(seconds)), timeline.part(seconds)
            drawn = self.canvas.draw(media, frame, heat, part)
            moment = timeline.before(seconds)
            self.marks.draw(drawn, heat, part, timeline.boxes[moment], timeline.warnings[moment])
        if title:
            self.marks.title(drawn, title)
        return drawn


def drawn_still(pixels: np.ndarray, heat: np.ndarray, part: Box, boxes: np.ndarray, warning: str) -> np.ndarray:
    """A single image uint8 (H, W, 3) with the heat (h, w) of a moment over a part of it, boxes (n, 5) and a warning."""
    canvas = Canvas(0, fine=1)
    large = enlarged(heat)
    frame = canvas.draw_pixels(pixels, large, part)
    Marks(canvas).draw(frame, large, part, boxes, warning)
    return frame.to_ndarray(format="rgb24", src_colorspace=canvas.colours_drawn.number)


def enlarged(heat: np.ndarray, side: int = COLOURED_SIDE) -> np.ndarray:
    """float32 (side, side) of a map (h, w), each cell an equal share; bilinear between the centres of cells."""
    return np.asarray(Image.fromarray(heat.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR))


def _side_by_side(frames: Sequence[av.VideoFrame]) -> av.VideoFrame:
    """Frames of one size next to each other."""
    result = av.VideoFrame(sum(frame.width for frame in frames), frames[0].height, frames[0].format.name)
    for number, plane in enumerate(planes_of(result)):
        plane[:] = np.concatenate([planes_of(frame)[number] for frame in frames], axis=1)
    return result
