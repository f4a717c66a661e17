"""Video in, the same video with something drawn over every frame out, one frame in memory at a time.

Used by `localize`. Frames keep the times at which the source shows them; sound packets pass through untouched where
the container takes their codec, and become AAC where it does not. Decoding, encoding and muxing run in process (PyAV).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from PIL import Image

from manifests.errors import InputError, WorkFailed
from manifests.whole_files import whole_path
from pipeline.media.image import upright

CONTAINERS = (".mp4", ".mov", ".mkv")
CLOCK = Fraction(1, 90_000)  # the frames' time base in the result; fine enough for any frame rate
CLOCK_SLACK = 1e-5
SHORT_SIDE = 720  # a heat map has no detail that more pixels would show
QUALITY = {"crf": "20", "preset": "veryfast"}


@dataclass(frozen=True)
class Written:
    """What became of the parts: frames drawn, packets that could not be decoded, how the sound was carried."""

    frames: int
    undecodable: int
    audio: str


class Source:
    """An opened video: its first moving image, its first sound, and its clock (seconds of the presented timeline)."""

    def __init__(self, container: av.container.InputContainer) -> None:
        images = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
        self.container, self.video, self.audio = container, images[0], container.streams.audio[0]
        self.zero = Fraction(container.start_time or 0, av.time_base)
        self.undecodable = 0
        self._shown = 0

    def frames_of(self, packet: av.Packet) -> list[tuple[float, av.VideoFrame]]:
        """The frames a packet of the image completes, with the second at which each is shown."""
        try:
            frames = self.video.codec_context.decode(packet if packet.size else None)
        except av.error.EOFError:
            return []
        except av.FFmpegError:
            self.undecodable += 1
            return []
        return [(self._seconds(frame), frame) for frame in frames]

    def packets(self, *streams: av.stream.Stream) -> Iterator[av.Packet]:
        """Packets until the data end or break off; the empty one that empties a decoder included."""
        try:
            yield from self.container.demux(*streams)
        except av.FFmpegError:
            self.undecodable += 1

    def pixels(self, frame: av.VideoFrame, short_side: int) -> np.ndarray:
        """uint8 (H, W, 3) RGB, upright with square pixels, the shorter side at most `short_side`."""
        aspect = self.video.sample_aspect_ratio or self.video.codec_context.sample_aspect_ratio
        return upright(frame, aspect, short_side)[0]

    def _seconds(self, frame: av.VideoFrame) -> float:
        self._shown += 1
        if frame.pts is None:
            return (self._shown - 1) / float(self.video.average_rate or 25)
        return float(frame.pts * self.video.time_base - self.zero)


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The video, opened without its name: nothing inside it can make the library open other files."""
    with open(path, "rb") as file:
        options = {"protocol_whitelist": "none"}
        with av.open(file, options=options, metadata_errors="ignore") as container:
            yield Source(container)


def frames_at(path: Path, moments: Sequence[float], short_side: int) -> Iterator[np.ndarray]:
    """For every moment (ascending, seconds) the image shown then: the last that began, else the first of all.

    One pass over the video. Raises InputError when no image can be decoded.
    """
    waiting = list(moments)
    with opened(path) as source:
        shown = None
        for packet in source.packets(source.video):
            for seconds, frame in source.frames_of(packet):
                while waiting and shown is not None and seconds > waiting[0] + CLOCK_SLACK:
                    waiting.pop(0)
                    yield source.pixels(shown, short_side)
                shown = frame
            if not waiting:
                return
        if shown is None:
            raise InputError(f"{path} holds no image that can be decoded. Give another video.")
        for _ in waiting:
            yield source.pixels(shown, short_side)


def draw_over(path: Path, out: Path, draw: Callable[[float, np.ndarray], Image.Image]) -> Written:
    """Write `out` with `draw(seconds, pixels (H, W, 3) uint8)` in place of every frame, and the source's sound.

    The file appears under its name when it is complete. Raises WorkFailed when it cannot be written.
    """
    size = _even(Image.fromarray(next(frames_at(path, [0.0], SHORT_SIDE)))).size
    try:
        with whole_path(out) as hidden, opened(path) as source, av.open(str(hidden.absolute()), "w") as result:
            return _Writer(source, result, size, draw).run()
    except (av.FFmpegError, OSError) as error:
        raise WorkFailed(f"{out} cannot be written: {error}. Free space or choose another place with --out.") from error


class _Writer:
    """Both streams on their way from source to result, packet by packet in the order in which the source holds them."""

    def __init__(
        self,
        source: Source,
        result: av.container.OutputContainer,
        size: tuple[int, int],
        draw: Callable[[float, np.ndarray], Image.Image],
    ) -> None:
        self.source, self.result, self.draw = source, result, draw
        self.video = result.add_stream("libx264", rate=source.video.average_rate or 25, options=QUALITY)
        self.video.pix_fmt = "yuv420p"
        self.video.width, self.video.height = size  # an image that changes size on the way is fitted to the first
        self.video.codec_context.time_base = CLOCK
        self.copies = source.audio.codec_context.codec.canonical_name in result.supported_codecs
        self.audio = self._audio_stream()
        self.frames, self.last = 0, -1

    def _audio_stream(self) -> av.stream.Stream:
        if self.copies:
            return self.result.add_stream_from_template(self.source.audio)
        return self.result.add_stream("aac", rate=self.source.audio.codec_context.sample_rate)

    def run(self) -> Written:
        """Everything, then what the encoders still hold."""
        source = self.source
        for packet in source.packets(source.video, source.audio):
            if packet.stream is source.video:
                for seconds, frame in source.frames_of(packet):
                    self._image(seconds, frame)
            else:
                self._audio(packet)
        self.result.mux(self.video.encode(None))
        if not self.copies:
            self.result.mux(self.audio.encode(None))
        return Written(self.frames, source.undecodable, "copied" if self.copies else "encoded again as AAC")

    def _image(self, seconds: float, frame: av.VideoFrame) -> None:
        ticks = round(seconds / CLOCK)
        if ticks <= self.last:  # two frames at one time: a player shows one of them
            return
        image = self.draw(seconds, self.source.pixels(frame, SHORT_SIDE))
        drawn = av.VideoFrame.from_image(_even(image))
        drawn.pts, drawn.time_base = ticks, CLOCK
        self.frames, self.last = self.frames + 1, ticks
        self.result.mux(self.video.encode(drawn))

    def _audio(self, packet: av.Packet) -> None:
        if not self.copies:
            for frame in self._decoded(packet):
                if frame.pts is not None:
                    frame.pts -= round(self.source.zero / frame.time_base)
                self.result.mux(self.audio.encode(frame))
        elif packet.dts is not None and packet.size:
            shift = round(self.source.zero / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = self.audio
            self.result.mux(packet)

    def _decoded(self, packet: av.Packet) -> list[av.AudioFrame]:
        try:
            return self.source.audio.codec_context.decode(packet if packet.size else None)
        except av.error.EOFError:
            return []
        except av.FFmpegError:
            self.source.undecodable += 1
            return []


def _even(image: Image.Image) -> Image.Image:
    """H.264 stores colour at half size, so both sides must be even: at most one row and column are cut."""
    width, height = image.size
    return image.crop((0, 0, max(2, width - width % 2), max(2, height - height % 2)))
