"""One open media file: its facts, the image shown at a moment, the sound of a span. PyAV, in process, one thread.

`media.decode_clip` composes a clip from these; the second decoder takes its facts from here too. All times are seconds
on the presented timeline: zero is where the container starts to play, after edit lists and start offsets. Only what a
question needs is decoded: the frames from the keyframe before the moment (those nothing depends on are skipped), the
sound packets of the span. Where seeking is inexact or packets carry no time, decoding starts earlier, at worst at the
beginning, so that the answer is always that of a full decode.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Self, cast

import av
import numpy as np

from pipeline.media.audio import AudioCollector, AudioSpan, check_rate
from pipeline.media.facts import Facts
from pipeline.media.image import (
    MAX_PIXELS,
    Run,
    ShownFrame,
    check_size,
    decode_all,
    decode_packet,
    read_run,
    refuse,
    upright,
)
from pipeline.media.layouts import stream_channels
from pipeline.media.opening import nameless, open_container
from pipeline.media.streams import decode_audio, first_decodable, has_others, is_cover_art, read_packets, seconds_of
from pipeline.media.times import (
    CLOCK_SLACK,
    Shown,
    clock_of,
    is_true_after_seek,
    kind_of,
    presented,
    rate_of,
    unguessed,
)
from pipeline.shards.record import Rejected
from pipeline.storage.failures import is_machines_fault

SEEK_LEADS = (0.0, 2.0, 10.0)  # how many seconds early to look for a keyframe before starting at the beginning
LOST_SECONDS = 0.5  # the data may end that much before the container says they do
AUDIO_PREROLL = 0.25  # seconds decoded before a span and thrown away: codecs carry state from packet to packet
DECODER_MEMORY = 1.0  # seconds before a span in which packets that are read on the way to it are decoded


class MediaFile:
    """A file, by path or by content, opened for reading; a context manager.

    Raises Rejected: unreadable, no_video, no_audio or too_large on opening, corrupt (or no_video and no_audio for empty
    streams) when a question cannot be answered.
    """

    _counts_audio = False  # whether a frame of sound follows the one before, whatever its time says

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
        moving = [stream for stream in self._container.streams.video if not is_cover_art(stream)]
        self._video = first_decodable(moving, "no_video", "moving image")
        self._audio = first_decodable(self._container.streams.audio, "no_audio", "sound")
        check_size(self._video.codec_context.width, self._video.codec_context.height)
        check_rate(self._audio.codec_context.sample_rate)
        for stream in (self._video, self._audio):
            stream.codec_context.thread_count = 1
        self._video.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self._zero = (self._container.start_time or 0) / av.time_base
        self._seekable = is_true_after_seek(self._container, self._video)

    @cached_property
    def facts(self) -> Facts:
        """Facts of the header; a duration that it lacks, or in which unused streams count, is measured by packets."""
        duration = self._duration()
        video, audio, container = self._video, self._audio, self._container  # after measuring, which opens anew
        indexed = kind_of(container) == "mov"
        return Facts(
            format=kind_of(container),
            seekable=self._seekable,
            zero=self._zero,
            duration=duration,
            video_index=video.index,
            audio_index=audio.index,
            sample_rate=audio.codec_context.sample_rate,
            channels=stream_channels(audio, self._bytes),
            audio_start=0.0 if audio.start_time is None else self._seconds(audio, audio.start_time),
            video_end=self._stated_end(video) if indexed else None,
            audio_end=self._stated_end(audio) if indexed else None,
        )

    def _duration(self) -> float:
        """How long the image and the sound are, whichever is longer; other streams may go on."""
        stated = (self._container.duration or 0) / av.time_base
        used = (self._video, self._audio)
        if stated and not has_others(self._container, *used):
            return stated
        indexed = [end for end in map(self._stated_end, used) if end is not None]
        if kind_of(self._container) == "mov" and len(indexed) == len(used):
            return min(stated, max(indexed))
        numbers = [stream.index for stream in used]  # measuring opens anew
        ends = self._ends(*self._container.streams)
        found = max(ends.get(number, 0.0) for number in numbers)
        is_whole = max(ends.values(), default=0.0) > stated - LOST_SECONDS
        return min(stated or found, found) if is_whole else stated

    def _ends(self, *streams: av.stream.Stream) -> dict[int, float]:
        """By the number of a stream, where its last packet ends."""
        ends: dict[int, float] = {}
        for packet in self._packets(*streams):
            ticks = packet.dts if packet.pts is None else packet.pts
            if ticks is not None and packet.size:
                end = self._seconds(packet.stream, ticks) + seconds_of(packet)
                ends[packet.stream_index] = max(end, ends.get(packet.stream_index, end))
        self._rewind(None, None)
        return ends

    def _stated_end(self, stream: av.stream.Stream) -> float | None:
        if stream.start_time is None or stream.duration is None:
            return None
        return self._seconds(stream, stream.start_time + stream.duration)

    def _seconds(self, stream: av.stream.Stream, ticks: int) -> float:
        numerator, denominator = self._bases.get(stream.index) or self._base(stream)
        return ticks * numerator / denominator - self._zero  # as a Fraction it would be reduced every time

    def _base(self, stream: av.stream.Stream) -> tuple[int, int]:
        """The stream's unit of time, kept: PyAV makes a new Fraction whenever it is asked."""
        base = cast(Fraction, stream.time_base)  # every stream of a file has one
        return self._bases.setdefault(stream.index, (base.numerator, base.denominator))

    def _ticks(self, stream: av.stream.Stream, seconds: float) -> int:
        return int((seconds + self._zero + CLOCK_SLACK) / float(cast(Fraction, stream.time_base)) // 1)

    def _packets(self, *streams: av.stream.Stream) -> Iterator[av.Packet]:
        """Packets of these streams until the data end, with no time that is only a guess."""
        videos = [one for one in streams if isinstance(one, av.VideoStream)]
        return unguessed(self._container, read_packets(self._container, *streams), videos)

    def _rewind(self, stream: av.stream.Stream | None, seconds: float | None) -> None:
        """Stand at or before `seconds` of a stream; for None, or where the format cannot seek, at the beginning."""
        if stream is not None and seconds is not None:
            with suppress(av.FFmpegError):
                self._container.seek(self._ticks(stream, seconds), stream=stream, backward=True)
                return
        self._close()
        self._open()

    def frame_at(self, seconds: float, short_side: int = 0) -> ShownFrame:
        """The last image whose presentation starts at or before `seconds`; the first one when there is none.

        short_side: pixels to which the shorter side is reduced; 0 keeps the size, and nothing is ever enlarged.
        """
        for lead in (*SEEK_LEADS, None) if self._seekable else (None,):
            self._rewind(self._video, None if lead is None else seconds - lead)
            run = read_run(self._packets(self._video), self._ticks(self._video, seconds))
            if not run.timed or (run.packets and run.is_guessed):
                break
            wanted = run.first if lead is None and run.target is None else run.target
            if wanted is not None:
                frame = decode_packet(self._video.codec_context, run, wanted)
                if frame is None or frame.pts is None:
                    break
                return self._image(frame, self._seconds(self._video, frame.pts), run, short_side)
        return self._frame_by_full_decode(seconds, short_side)

    @property
    def audio(self) -> av.AudioStream:
        """The stream of the sound; another one once a question was answered."""
        return self._audio

    @property
    def average_rate(self) -> Fraction:
        return rate_of(self._video)

    def _frame_by_full_decode(self, seconds: float, short_side: int) -> ShownFrame:
        """The slow way, for packets without times and frames that are not shown when their packet says."""
        shown: tuple[float, av.VideoFrame] | None = None
        for start, frame in self.frames():
            if shown and start > seconds + CLOCK_SLACK:
                return self._image(shown[1], shown[0], None, short_side)
            shown = start, frame
        if shown is None:
            raise Rejected("no_video", "its video stream holds no image")
        return self._image(shown[1], shown[0], None, short_side, data_end=shown[0] + 1 / float(self.average_rate))

    def frames(self, failed: Callable[[Rejected], None] = refuse) -> Iterator[Shown]:
        """Every image from the beginning on, with the second at which it is shown; `failed` is told of bad packets."""
        self._rewind(None, None)
        decoded = decode_all(self._video.codec_context, self._packets(self._video), failed)
        return presented(decoded, clock_of(self._container, self._video, partial(self._seconds, self._video)))

    def pixels(self, frame: av.VideoFrame, short_side: int) -> tuple[np.ndarray, tuple[int, int]]:
        """A frame as a player shows it, and its width and height before it was reduced; see `upright`."""
        aspect = self._video.sample_aspect_ratio or self._video.codec_context.sample_aspect_ratio
        return upright(frame, aspect, short_side)

    def _image(
        self, frame: av.VideoFrame, start: float, run: Run | None, short_side: int, data_end: float | None = None
    ) -> ShownFrame:
        pixels, (width, height) = self.pixels(frame, short_side)
        calm = run is None or run.is_calm(1 / float(cast(Fraction, self._video.time_base)), frame.width * frame.height)
        if run is not None and not run.passed and run.end is not None:
            data_end = self._seconds(self._video, run.end)
        return ShownFrame(pixels, start, width, height, data_end, calm)

    def audio_between(self, start: float, rate: int, count: int) -> AudioSpan:
        """`count` mono samples at `rate` Hz from `start` on; what lies outside the recording is zero."""
        for lead in SEEK_LEADS if self._seekable else ():
            span = self._collected(start, count / rate, start - AUDIO_PREROLL - lead)
            if span.begun is not None and span.begun <= max(start, self.facts.audio_start):
                return span.resampled(rate, count)
        span = self._collected(start, count / rate, None)
        if span.begun is None:
            reason = "corrupt" if span.errors else "no_audio"
            raise Rejected(reason, f"its sound stream gives no sound ({span.errors} packets fail to decode)")
        return span.resampled(rate, count)

    def _collected(self, start: float, seconds: float, begin: float | None) -> AudioCollector:
        """A span, decoded from about `begin` on or from the very beginning; of what lies long before only the times."""
        span = AudioCollector(start, seconds, self.facts.channels)
        self._rewind(self._audio, begin)

        def failed(packet: av.Packet) -> None:
            late = packet.pts is None or self._seconds(self._audio, packet.pts) >= span.start
            span.errors += late  # right after a seek some codecs fail until their state is complete

        for packet in self._packets(self._audio):
            if packet.size and packet.pts is not None and packet.duration and not self._counts_audio:
                end = self._seconds(self._audio, packet.pts + packet.duration)
                if end < span.start - DECODER_MEMORY:
                    span.skip(self._seconds(self._audio, packet.pts), end)
                    continue
            for frame in decode_audio(self._audio.codec_context, packet, failed):
                counted = frame.pts is None or (self._counts_audio and span.begun is not None)
                span.add(frame, None if counted else self._seconds(self._audio, cast(int, frame.pts)))
            if span.is_full:
                return span
        span.ended = True
        return span

    def audio_packets(self) -> Iterator[av.Packet]:
        """Every packet of the sound from the beginning on, at last the empty one that empties a decoder."""
        self._rewind(None, None)
        return self._packets(self._audio)
