"""How a container says that its images are framed: edges that are not shown (PixelCrop of Matroska, `clap` of MP4), and
by how much they are turned.

ffmpeg and its players cut the edges off, the library does not; what it read of them can only be asked for in words, as
ffmpeg prints them. What the images themselves say of their edges (H.264, HEVC) is the decoder's.
"""

import re
import threading
from fractions import Fraction

import av
from av.filter import Graph

from pipeline.shards.record import Rejected

ANY_CLOCK = Fraction(1, 1000)  # of frames whose clock nobody asks for
SLACK = 1.0  # degrees
_STREAM = r"^ *Stream #0:{index}\b.*?(?=^ *Stream #|\Z)"
_EDGES = re.compile(r"^ *Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)$", re.MULTILINE)
_TURN = re.compile(r"^ *Display Matrix: rotation of (\S+) degrees$", re.MULTILINE)
_asking = threading.Lock()  # the level of what is said is one for all threads


def framing(container: av.container.InputContainer, video: av.VideoStream) -> "Cropper | None":
    """What cuts off the edges that are not shown; None where all of the stored image is. Raises Rejected as
    `check_turn` does."""
    said = _said(container, video.index)
    if turn := _TURN.search(said):
        check_turn(float(turn[1]))
    edges = _EDGES.search(said)
    return Cropper(*map(int, edges.groups())) if edges else None


def _said(container: av.container.InputContainer, index: int) -> str:
    """What ffmpeg prints of one stream."""
    with _asking:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            said = container.dumps_format()  # pyrefly: ignore[missing-attribute]  # its annotations lack it
        finally:
            av.logging.set_level(level)
    found = re.search(_STREAM.format(index=index), said, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def check_turn(degrees: float) -> None:
    """Raise Rejected where an image is turned by no right angle, as far as ffmpeg distinguishes: players differ in what
    they show then. A matrix of zeros, which writers leave behind, turns by what is no number, and nothing."""
    if abs((degrees + 45) % 90 - 45) > SLACK:
        raise Rejected("unreadable", f"its image is to be turned by {degrees:.0f} degrees, which is no right angle")


class Cropper:
    """Cuts pixels off each edge as ffmpeg does, with its filter; a frame's time, orientation and colours stay."""

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
