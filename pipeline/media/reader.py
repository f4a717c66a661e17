"""One open media file: its facts, the image shown at a moment, the sound of a span. PyAV, in process, one thread.

`media.decode_clip` composes a clip from these; the second decoder takes its facts from here too. All times are seconds
on the presented timeline: zero is where the container starts to play, after edit lists and start offsets. Only what a
question needs is decoded: the frames from the keyframe before the moment (those nothing depends on are skipped), the
sound packets of the span. Where seeking is inexact or packets carry no time, decoding starts earlier, at worst at the
beginning, so that the answer is always that of a full decode.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import av
import numpy as np
from av.stream import Discard, Disposition

from pipeline.media.audio import AudioCollector, AudioSpan, check_rate
from pipeline.media.image import MAX_PIXELS, Run, check_size, decode_all, decode_packet, read_run, upright
from pipeline.media.opening import nameless, open_container
from pipeline.shards.record import Rejected
from pipeline.storage.failures import is_machines_fault

CLOCK_SLACK = 1e-5  # containers count microseconds: a frame at 5.0 s is one at or before 5.0 s
SEEK_LEADS = (0.0, 2.0, 10.0)  # how many seconds early to look for a keyframe before starting at the beginning
LOST_SECONDS = 0.5  # the data may end that much before the container says they do
AUDIO_PREROLL = 0.25  # seconds decoded before a span and thrown away: codecs carry state from packet to packet


@dataclass(frozen=True)
class Facts:
    """What the header says, in seconds and Hz. `zero` is where the presented timeline starts on the container's clock.

    `*_end` is stated only where the container has an index of every stream (mp4), else None.
    """

    format: str
    zero: float
    duration: float
    video_index: int
    audio_index: int
    sample_rate: int
    audio_start: float
    video_end: float | None
    audio_end: float | None


@dataclass(frozen=True)
class ShownFrame:
    """The image presented at a moment, uint8 (H, W, 3) RGB, upright, with square pixels.

    `seconds` is when its presentation began; `source_width` and `source_height` are its upright size before it was
    reduced; `data_end` is where the last image ends when the data stop before the moment, else None; `calm` says
    that so few bits are spent around the moment that the image may be standing still.
    """

    pixels: np.ndarray
    seconds: float
    source_width: int
    source_height: int
    data_end: float | None
    calm: bool


class MediaFile:
    """A file, by path or by content, opened for reading; a context manager.

    Raises Rejected: unreadable, no_video, no_audio or too_large on opening, corrupt (or the two in the middle, for
    streams that turn out to be empty) when a question cannot be answered.
    """

    def __init__(self, content: bytes | Path) -> None:
        self._content = content
        self._bases: dict[int, tuple[int, int]] = {}  # units of time by stream
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def _open(self) -> None:
        """Open by content: what a name looks like, or what a playlist inside mentions, is never opened."""
        try:
            self._bytes = nameless(self._content)
        except OSError as error:
            if is_machines_fault(error):
                raise
            raise Rejected("unreadable", f"it cannot be read: {error.strerror}") from error
        try:
            self._container = open_container(self._bytes)
        except (av.FFmpegError, ValueError) as error:
            self._bytes.close()
            message = error.strerror if isinstance(error, av.FFmpegError) else str(error)
            raise Rejected("unreadable", f"no decoder opens it: {message}") from error
        try:
            self._choose_streams()
        except Rejected:
            self._close()
            raise

    def _close(self) -> None:
        self._container.close()
        self._bytes.close()

    def _choose_streams(self) -> None:
        """The first moving image (cover art is none) and the first sound, whatever else the file carries."""
        moving = [stream for stream in self._container.streams.video if not _is_cover_art(stream)]
        self._video = first_decodable(moving, "no_video", "moving image")
        self._audio = first_decodable(list(self._container.streams.audio), "no_audio", "sound")
        check_size(self._video.codec_context.width, self._video.codec_context.height)
        check_rate(self._audio.codec_context.sample_rate)
        for stream in (self._video, self._audio):
            stream.codec_context.thread_count = 1
        self._video.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self._zero = (self._container.start_time or 0) / av.time_base

    @cached_property
    def facts(self) -> Facts:
        """Facts of the header; a duration that it lacks (recordings of browsers) is measured packet by packet."""
        stated = self._container.duration
        duration = stated / av.time_base if stated else self._measured_duration()
        video, audio, container = self._video, self._audio, self._container  # after measuring, which opens anew
        indexed = container.format.name.startswith("mov,")
        return Facts(
            format=container.format.name,
            zero=self._zero,
            duration=duration,
            video_index=video.index,
            audio_index=audio.index,
            sample_rate=audio.codec_context.sample_rate,
            audio_start=0.0 if audio.start_time is None else self._seconds(audio, audio.start_time),
            video_end=self._stated_end(video) if indexed else None,
            audio_end=self._stated_end(audio) if indexed else None,
        )

    def _measured_duration(self) -> float:
        return self._measure(self._video, self._audio)

    def _measure(self, *streams: av.stream.Stream) -> float:
        end = 0.0
        for packet in self._packets(*streams):
            if packet.pts is not None:
                end = max(end, self._seconds(packet.stream, packet.pts + (packet.duration or 0)))
        self._rewind(None, None)
        return end

    def _stated_end(self, stream: av.stream.Stream) -> float | None:
        if stream.start_time is None or stream.duration is None:
            return None
        return self._seconds(stream, stream.start_time + stream.duration)

    def _seconds(self, stream: av.stream.Stream, ticks: int) -> float:
        numerator, denominator = self._bases.get(stream.index) or self._base(stream)
        return ticks * numerator / denominator - self._zero  # as a Fraction it would be reduced every time

    def _base(self, stream: av.stream.Stream) -> tuple[int, int]:
        """The stream's unit of time, kept: PyAV makes a new Fraction whenever it is asked."""
        base = stream.time_base
        return self._bases.setdefault(stream.index, (base.numerator, base.denominator))

    def _ticks(self, stream: av.stream.Stream, seconds: float) -> int:
        return int((seconds + self._zero + CLOCK_SLACK) / float(stream.time_base) // 1)

    def _packets(self, *streams: av.stream.Stream) -> Iterator[av.Packet]:
        """Packets of these streams until the data end, in whatever way; the demuxer does not read the others."""
        for stream in self._container.streams:
            stream.discard = Discard.default if stream in streams else Discard.all
        try:
            yield from self._container.demux(*streams)
        # A file that was cut off, or damage that looks like a new stream (PyAV knows none); whether what is missing was
        # needed is judged by the caller.
        except (av.FFmpegError, IndexError):
            return

    def _rewind(self, stream: av.stream.Stream | None, seconds: float | None) -> None:
        """Stand at or before `seconds` of a stream; for None, or where the format cannot seek, at the beginning."""
        if stream is not None and seconds is not None:
            try:
                self._container.seek(self._ticks(stream, seconds), stream=stream, backward=True)
            except av.FFmpegError:
                pass
            else:
                return
        self._close()
        self._open()

    def frame_at(self, seconds: float, short_side: int = 0) -> ShownFrame:
        """The last image whose presentation starts at or before `seconds`; the first one when there is none.

        short_side: pixels to which the shorter side is reduced; 0 keeps the size, and nothing is ever enlarged.
        """
        for lead in (*SEEK_LEADS, None):
            self._rewind(self._video, None if lead is None else seconds - lead)
            run = read_run(self._packets(self._video), self._ticks(self._video, seconds))
            if not run.timed:
                break
            wanted = run.first if lead is None and run.target is None else run.target
            if wanted is not None:
                frame = decode_packet(self._video.codec_context, run, wanted)
                if frame is None:
                    break
                return self._image(frame, self._seconds(self._video, frame.pts), run, short_side)
        return self._frame_by_full_decode(seconds, short_side)

    def _frame_by_full_decode(self, seconds: float, short_side: int) -> ShownFrame:
        """The slow way, for packets without times and frames that are not shown when their packet says."""
        self._rewind(None, None)
        shown: tuple[float, av.VideoFrame] | None = None
        frame_seconds = 1 / float(self._video.average_rate or 25)
        for number, frame in enumerate(decode_all(self._video.codec_context, self._packets(self._video))):
            start = number * frame_seconds if frame.pts is None else self._seconds(self._video, frame.pts)
            if shown and start > seconds + CLOCK_SLACK:
                return self._image(shown[1], shown[0], None, short_side)
            shown = start, frame
        if shown is None:
            raise Rejected("no_video", "its video stream holds no image")
        return self._image(shown[1], shown[0], None, short_side, data_end=shown[0] + frame_seconds)

    def _image(
        self, frame: av.VideoFrame, start: float, run: Run | None, short_side: int, data_end: float | None = None
    ) -> ShownFrame:
        aspect = self._video.sample_aspect_ratio or self._video.codec_context.sample_aspect_ratio
        pixels, (width, height) = upright(frame, aspect, short_side)
        calm = run is None or run.is_calm(1 / float(self._video.time_base), frame.width * frame.height)
        if run is not None and not run.passed and run.end is not None:
            data_end = self._seconds(self._video, run.end)
        return ShownFrame(pixels, start, width, height, data_end, calm)

    def audio_between(self, start: float, rate: int, count: int) -> AudioSpan:
        """`count` mono samples at `rate` Hz from `start` on; what lies outside the recording is zero."""
        for lead in (*SEEK_LEADS, None):
            self._rewind(self._audio, None if lead is None else start - AUDIO_PREROLL - lead)
            span = AudioCollector(start, count / rate)
            self._fill(span)
            if span.begun is not None and span.begun <= max(start, self.facts.audio_start):
                return span.resampled(rate, count)
        if span.begun is None:
            reason = "corrupt" if span.errors else "no_audio"
            raise Rejected(reason, f"its sound stream gives no sound ({span.errors} packets fail to decode)")
        return span.resampled(rate, count)

    def _fill(self, span: AudioCollector) -> None:
        for packet in self._packets(self._audio):
            try:
                frames = self._audio.codec_context.decode(packet if packet.size else None)
            except av.error.EOFError:
                continue
            except av.FFmpegError:
                late = packet.pts is None or self._seconds(self._audio, packet.pts) >= span.start
                span.errors += late  # right after a seek some codecs fail until their state is complete
                continue
            for frame in frames:
                span.add(frame, None if frame.pts is None else self._seconds(self._audio, frame.pts))
            if span.is_full:
                return
        span.ended = True


def _is_cover_art(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def first_decodable(streams: list[av.stream.Stream], reason: str, what: str) -> av.stream.Stream:
    if not streams:
        raise Rejected(reason, f"it has no {what}")
    for stream in streams:
        if stream.codec_context is not None:
            return stream
    raise Rejected("unreadable", f"its {what} is of a codec that no decoder here knows")
