"""Video in, the same video with heat and marks drawn over every frame out, a few frames in memory at a time.

Frames are shown when ingest says so (`pipeline.media.times`); sound packets pass through untouched where the container
takes them, and become AAC where it does not. Decoding, drawing, encoding and muxing run in process (PyAV).
"""

import errno
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, cast

import av

from manifests.errors import WorkFailed
from manifests.files.whole import whole_path
from pipeline.media.reader import MediaFile
from pipeline.media.streams import decode_audio
from pipeline.shards.record import Rejected
from training.overlay.carriage import FORMATS, Carriage, Converter
from training.overlay.in_turn import Later, in_turn
from training.overlay.panels import Panel, Panels

MATROSKA = FORMATS[".mkv"]
CLOCK = Fraction(1, 90_000)  # the frames' time base in the result; fine enough for any frame rate
AHEAD = 12  # frames and packets of sound that wait for the encoder
# less than a quarter of the time of the preset veryfast at crf 20, for files a little smaller and 2 dB less (44 of 46)
QUALITY = {"preset": "ultrafast", "qp": "24", "x264-params": "cabac=1:no-deblock=0:deblock=1,0"}

MADE_BY = "the heat map of a model over a video, by sound-source-localization"  # the comment in every overlay


@dataclass(frozen=True)
class Written:
    """What became of the parts: frames drawn, packets that could not be decoded, how the sound was carried."""

    frames: int
    undecodable: int
    audio: str


def draw_over(
    path: Path, out: Path, panels: Sequence[Panel], way: Carriage, advance: Callable[[int], object] = lambda done: None
) -> Written:
    """Write `out`: the video with a panel's timeline drawn over every frame, several panels side by side, and the
    source's sound.

    The file appears under its name when it is complete; `advance` is told of every second that is drawn. Raises
    WorkFailed when it cannot be written.
    """
    try:
        with (
            MediaFile(path) as images,
            MediaFile(path) as audio,
            whole_path(out) as hidden,
            av.open(str(hidden.absolute()), "w", format=FORMATS[out.suffix.lower()]) as result,
            in_turn(AHEAD) as later,
        ):
            result.metadata["comment"] = MADE_BY
            return _Writer(images, audio, result, Panels(panels), way, advance, later).run()
    except (av.FFmpegError, OSError, ValueError) as error:
        raise WorkFailed(f"{out} cannot be written: {error}. {_advice(error)}") from error


def is_marked(path: Path) -> bool:
    """Whether a file is an overlay, whole, by the comment in it."""
    try:
        with av.open(str(path.absolute())) as container:
            return MADE_BY in container.metadata.values()
    except (av.FFmpegError, OSError, ValueError):
        return False


def draw_some(path: Path, panels: Sequence[Panel], count: int) -> int:
    """Draw and encode the first frames of a video for nothing, to learn how long that takes; returns how many."""
    drawing, number = Panels(panels), -1
    with MediaFile(path) as images, av.open(io.BytesIO(), "w", format="matroska") as result:
        video = _add_video(result, images)
        for number, (_, frame) in enumerate(islice(images.frames(lambda bad: None), count)):
            drawn = drawing.draw(images, frame, 0.0)
            if not number:
                video.width, video.height = drawn.width, drawn.height
            drawn.pts, drawn.time_base = number, CLOCK
            result.mux(video.encode(drawn))
        result.mux(video.encode(None))
    return number + 1


def _add_video(result: av.container.OutputContainer, images: MediaFile) -> av.VideoStream:
    video = result.add_stream("libx264", rate=images.average_rate, options=QUALITY)
    video.pix_fmt = "yuv420p"
    video.codec_context.thread_count = 1  # others decode and draw meanwhile
    video.codec_context.time_base = CLOCK
    return video


def _advice(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free space or choose another place with --out."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
        return "Choose a place with --out in which files can be made."
    return "The container refuses what the video holds: try --out with another suffix, for example .mkv."


class _Writer:
    """Both streams on their way from source to result: before each frame the sound that comes before it.

    Decoding and drawing go on while another thread encodes and writes, which is all that touches the result.
    """

    def __init__(
        self,
        images: MediaFile,
        audio: MediaFile,
        result: av.container.OutputContainer,
        panels: Panels,
        way: Carriage,
        advance: Callable[[int], object],
        later: Later,
    ) -> None:
        self.images, self.source, self.result, self.panels, self.way = images, audio, result, panels, way
        self.zero = Fraction(audio.facts.zero)  # asked before anything is read: measuring opens the file anew
        self.video = _add_video(result, images)
        self.audio = way.stream(result, audio.audio)
        self.converter = Converter(way)
        self.frames, self.last, self.undecodable = 0, -1, 0
        self.advance, self.told, self.later = advance, 0, later

    def run(self) -> Written:
        """Everything, then what the encoders still hold."""
        packets = self.source.audio_packets()
        heard = float("-inf")
        for seconds, frame in self.images.frames(self._failed):
            self._image(seconds, frame)
            while heard < seconds and (packet := next(packets, None)) is not None:
                heard = self._audio(packet, heard)
        for packet in packets:
            self._audio(packet, heard)
        self.later(self._write, self.video, None)
        if self.way.rate is not None:
            self.later(self._convert, None)
            self.later(self._write, self.audio, None)
        return Written(self.frames, self.undecodable, self.way.said)

    def _failed(self, what: Rejected | av.Packet) -> None:
        self.undecodable += 1

    def _image(self, seconds: float, frame: av.VideoFrame) -> None:
        ticks = max(round(seconds / CLOCK), self.last + 1)
        drawn = self.panels.draw(self.images, frame, seconds)
        if not self.frames:
            self._begin(drawn)
        drawn.pts, drawn.time_base = ticks, CLOCK
        drawn.pict_type = 0  # pyrefly: ignore  # the encoder chooses
        self.frames, self.last = self.frames + 1, ticks
        self.later(self._write, self.video, drawn)
        self.advance(max(0, int(seconds) - self.told))
        self.told = max(self.told, int(seconds))

    def _begin(self, first: av.VideoFrame) -> None:
        """The result has the size and the colours of its first frame."""
        codec = self.video.codec_context
        self.video.width, self.video.height = first.width, first.height
        codec.colorspace, codec.color_range = self.panels.colours.number, 1

    def _audio(self, packet: av.Packet, heard: float) -> float:
        """Pass one packet on; returns the second at which it starts."""
        base, zero = cast(Fraction, packet.time_base), self.zero
        start = packet.pts if packet.dts is None else packet.dts
        if self.way.rate is not None:
            for frame in decode_audio(self.source.audio.codec_context, packet, self._failed):
                if frame.pts is not None:
                    frame.pts -= round(zero / cast(Fraction, frame.time_base))
                self.later(self._convert, frame)
        elif packet.dts is not None and packet.size:
            shift = round(zero / base)
            packet.pts, packet.dts = cast(int, packet.pts) - shift, packet.dts - shift
            if not self._is_before_zero(packet):
                packet.stream = self.audio
                self.later(self.result.mux, packet)
        return heard if start is None else float(start * base - zero)

    def _is_before_zero(self, packet: av.Packet) -> bool:
        """Whether a packet (its time shifted already) is left out: Matroska has no time before zero, and would start
        everything later. What a decoder needs before (out of Matroska, and Opus) it writes as a delay."""
        begin = cast(int, packet.pts)
        if self.result.format.name != MATROSKA or begin >= 0:
            return False
        is_opus = self.source.audio.codec_context.name.endswith("opus")
        is_delay = self.source.facts.format == MATROSKA or (is_opus and begin + (packet.duration or 0) > 0)
        return not is_delay

    def _write(self, stream: av.VideoStream | av.AudioStream, frame: Any) -> None:
        self.result.mux(stream.encode(frame))

    def _convert(self, frame: av.AudioFrame | None) -> None:
        for converted in self.converter.frames(frame):
            self._write(self.audio, converted)
