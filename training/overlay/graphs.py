"""Chains of libavfilter's filters that run in process, on the frames that are given to them one by one."""

from collections.abc import Sequence
from typing import cast

import av
from av.filter import Graph

CLOCK = "1/90000"
Step = tuple[str, str]  # a filter's name and its options


class Chain:
    """Filters one after another; the first takes a frame from every source, and one frame comes out.

    With several sources a frame's time says what belongs together: it ascends, and is the same for all.
    """

    def __init__(self, sources: Sequence[str], steps: Sequence[Step]) -> None:
        """sources: of each what `frames` says of it."""
        graph = self._kept = Graph()  # its filters do not keep it
        graph.threads = 1
        self._sources = [graph.add("buffer", source) for source in sources]
        self._result = graph.add("buffersink")
        first, *others = (graph.add(name, options) for name, options in steps)
        for number, source in enumerate(self._sources):
            source.link_to(first, 0, number)
        graph.link_nodes(first, *others, self._result).configure()

    def through(self, *frames: av.VideoFrame) -> av.VideoFrame:
        """What becomes of them; a new frame, unless no filter changes anything."""
        for source, frame in zip(self._sources, frames, strict=True):
            source.push(frame)
        return cast(av.VideoFrame, self._result.pull())


def frames(size: tuple[int, int], form: str, space: int, range: int) -> str:
    """Options of a source: width and height, pixel format, numbers of colour space and range."""
    shape = f"video_size={size[0]}x{size[1]}:pix_fmt={form}:colorspace={space}:range={range}"
    return f"{shape}:time_base={CLOCK}:pixel_aspect=1/1"
