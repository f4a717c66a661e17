"""Video in, the same video with something drawn over every frame out, a few frames in memory at a time.

Used by `localize`. Frames are shown when ingest says so (`pipeline.media.times`); sound packets pass through untouched
where the container takes them, and become AAC where it does not. Decoding, encoding and muxing run in process (PyAV).
"""

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from PIL import Image

from manifests.errors import InputError, WorkFailed
from manifests.whole_files import whole_path
from pipeline.media.reader import MediaFile
from pipeline.media.streams import decode_audio
from pipeline.media.times import CLOCK_SLACK
from pipeline.shards.record import Rejected
from training.overlay.carriage import FORMATS, Carriage, Converter

CONTAINERS = tuple(FORMATS)
CLOCK = Fraction(1, 90_000)  # the frames' time base in the result; fine enough for any frame rate
SHORT_SIDE = 720  # a heat map has no detail that more pixels would show
QUALITY = {"crf": "20", "preset": "veryfast"}
Draw = Callable[[float, np.ndarray], Image.Image]


@dataclass(frozen=True)
class Written:
    """What became of the parts: frames drawn, packets that could not be decoded, how the sound was carried."""

    frames: int
    undecodable: int
    audio: str


def frames_at(path: Path, moments: Sequence[float], short_side: int) -> Iterator[np.ndarray]:
    """For every moment (ascending, seconds) the image shown then: the last that began, else the first of all.

    One pass over the video. Raises InputError when no image can be decoded.
    """
    waiting = list(moments)
    with MediaFile(path) as media:
        shown = None
        for seconds, frame in media.frames(lambda failure: None):
            while waiting and shown is not None and seconds > waiting[0] + CLOCK_SLACK:
                waiting.pop(0)
                yield media.pixels(shown, short_side)[0]
            if not waiting:
                return
            shown = frame
        if shown is None:
            raise InputError(f"{path} holds no image that can be decoded. Give another video.")
        for _ in waiting:
            yield media.pixels(shown, short_side)[0]


def draw_over(path: Path, out: Path, draw: Draw, way: Carriage) -> Written:
    """Write `out` with `draw(seconds, pixels (H, W, 3) uint8)` in place of every frame, and the source's sound.

    The file appears under its name when it is complete. Raises WorkFailed when it cannot be written.
    """
    size = _even(Image.fromarray(next(frames_at(path, [0.0], SHORT_SIDE)))).size
    try:
        with (
            MediaFile(path) as images,
            MediaFile(path) as audio,
            whole_path(out) as hidden,
            av.open(str(hidden.absolute()), "w", format=FORMATS[out.suffix.lower()]) as result,
        ):
            return _Writer(images, audio, result, size, draw, way).run()
    except (av.FFmpegError, OSError, ValueError) as error:
        raise WorkFailed(f"{out} cannot be written: {error}. {_advice(error)}") from error


def _advice(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free space or choose another place with --out."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
        return "Choose a place with --out in which files can be made."
    return "The container refuses what the video holds: try --out with another suffix, for example .mkv."


class _Writer:
    """Both streams on their way from source to result: before each frame the sound that comes before it."""

    def __init__(
        self,
        images: MediaFile,
        audio: MediaFile,
        result: av.container.OutputContainer,
        size: tuple[int, int],
        draw: Draw,
        way: Carriage,
    ) -> None:
        self.images, self.source, self.result, self.draw, self.way = images, audio, result, draw, way
        self.zero = Fraction(audio.facts.zero)  # asked before anything is read: measuring opens the file anew
        self.video = result.add_stream("libx264", rate=images.average_rate, options=QUALITY)
        self.video.pix_fmt = "yuv420p"
        self.video.width, self.video.height = size  # an image that changes size on the way is fitted to the first
        self.video.codec_context.time_base = CLOCK
        self.audio = way.stream(result, audio.audio)
        self.converter = Converter(way)
        self.frames, self.last, self.undecodable = 0, -1, 0

    def run(self) -> Written:
        """Everything, then what the encoders still hold."""
        packets = self.source.audio_packets()
        heard = float("-inf")
        for seconds, frame in self.images.frames(self._failed):
            while heard < seconds and (packet := next(packets, None)) is not None:
                heard = self._audio(packet, heard)
            self._image(seconds, frame)
        for packet in packets:
            self._audio(packet, heard)
        self.result.mux(self.video.encode(None))
        if self.way.rate is not None:
            self._encode(self.converter.frames(None))
            self.result.mux(self.audio.encode(None))
        return Written(self.frames, self.undecodable, self.way.said)

    def _failed(self, what: Rejected | av.Packet) -> None:
        self.undecodable += 1

    def _image(self, seconds: float, frame: av.VideoFrame) -> None:
        ticks = max(round(seconds / CLOCK), self.last + 1)
        image = self.draw(seconds, self.images.pixels(frame, SHORT_SIDE)[0])
        drawn = av.VideoFrame.from_image(_even(image))
        drawn.pts, drawn.time_base = ticks, CLOCK
        self.frames, self.last = self.frames + 1, ticks
        self.result.mux(self.video.encode(drawn))

    def _audio(self, packet: av.Packet, heard: float) -> float:
        """Pass one packet on; returns the second at which it starts."""
        base, zero = cast(Fraction, packet.time_base), self.zero
        start = packet.pts if packet.dts is None else packet.dts
        if self.way.rate is not None:
            for frame in decode_audio(self.source.audio.codec_context, packet, self._failed):
                if frame.pts is not None:
                    frame.pts -= round(zero / cast(Fraction, frame.time_base))
                self._encode(self.converter.frames(frame))
        elif packet.dts is not None and packet.size:
            shift = round(zero / base)
            packet.pts, packet.dts = cast(int, packet.pts) - shift, packet.dts - shift
            packet.stream = self.audio
            self.result.mux(packet)
        return heard if start is None else float(start * base - zero)

    def _encode(self, frames: Iterator[av.AudioFrame]) -> None:
        for frame in frames:
            self.result.mux(self.audio.encode(frame))


def _even(image: Image.Image) -> Image.Image:
    """H.264 stores colour at half size, so both sides must be even: at most one row and column are cut."""
    width, height = image.size
    return image.crop((0, 0, max(2, width - width % 2), max(2, height - height % 2)))
