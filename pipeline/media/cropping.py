"""The part of a video's images that its container says is shown: PixelCrop of Matroska, `clap` of MP4.

ffmpeg and its players cut to it, the library does not; what it read of it can only be asked for in words, as ffmpeg
prints them. What the images themselves say of their edges (H.264, HEVC) is the decoder's.
"""

import re
import threading
from fractions import Fraction

import av
from av.filter import Graph

from pipeline.shards.record import Rejected

ANY_CLOCK = Fraction(1, 1000)  # of frames whose clock nobody asks for
MAY_CROP = ("mov", "matroska")
_EDGES = r"^ *Stream #0:{index}\b(?:(?!^ *Stream #).)*?^ *Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)$"
_asking = threading.Lock()  # the level of what is said is one for all threads


def stated_edges(container: av.container.InputContainer, video: av.VideoStream) -> tuple[int, int, int, int] | None:
    """How many pixels are not shown at the left, right, top and bottom of the stored image; None where all are."""
    with _asking:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            said = container.dumps_format()  # pyrefly: ignore[missing-attribute]  # its annotations lack it
        finally:
            av.logging.set_level(level)
    found = re.search(_EDGES.format(index=video.index), said, re.MULTILINE | re.DOTALL)
    if found is None:
        return None
    left, right, top, bottom = map(int, found.groups())
    return left, right, top, bottom


class Cropper:
    """Cuts frames as ffmpeg does, with its filter; the time of a frame, its orientation and colours stay."""

    def __init__(self, left: int, right: int, top: int, bottom: int) -> None:
        self._cut = f"{left + right}:ih-{top + bottom}:{left}:{top}"
        self._graph = Graph()
        self._form: tuple[int, int, str] | None = None

    def cropped(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The part of a frame that is shown. Raises Rejected where there is none."""
        try:
            form = frame.width, frame.height, frame.format.name
            if form != self._form:
                self._graph, self._form = self._new_graph(frame), form
            self._graph.vpush(frame)
            return self._graph.vpull()
        except (av.FFmpegError, ValueError) as error:
            shown = f"{frame.width}x{frame.height} pixels"
            raise Rejected("corrupt", f"its container cuts more off the image than its {shown}") from error

    def _new_graph(self, frame: av.VideoFrame) -> Graph:
        graph = Graph()
        graph.threads = 1
        clock = frame.time_base or ANY_CLOCK
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=clock)
        graph.link_nodes(source, graph.add("crop", f"iw-{self._cut}"), graph.add("buffersink")).configure()
        return graph
