"""One open recording: its packets with the times that hold, and the sound of a span. PyAV, in process, one thread.

`reader` adds the images of a video, `still` is content with the sound. All times are seconds on the presented timeline:
zero is where the container starts to play, after edit lists and start offsets. Of the sound only the packets of a span
are decoded; where seeking is inexact or packets carry no time, decoding starts earlier, at worst at the beginning, so
that the answer is always that of a full decode.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Self, cast

import av

from manifests.machine import is_machines_fault
from pipeline.media.announced import is_chained_ogg, is_followed_by_another
from pipeline.media.audio import CONTEXT, AudioCollector, AudioSpan
from pipeline.media.facts import Facts
from pipeline.media.opening import nameless, open_container
from pipeline.media.promised import stated_seconds
from pipeline.media.streams import decode_audio, has_palette, padding_of, read_packets, seconds_of, starts_anywhere
from pipeline.media.times import CLOCK_END_STATED, CLOCK_SLACK, is_true_after_seek, kind_of, may_begin_anew, unguessed
from pipeline.shards.record import Rejected

SEEK_LEADS = (0.0, 2.0, 10.0)  # how many seconds early to look for a keyframe before starting at the beginning
FIRST_PACKETS = 0.1  # seconds before the sound that is wanted: codecs may give none for the first packets after a seek
LOST_SECONDS = 0.5  # the data may end that much before the container says they do
LATE_SECONDS = 0.1  # a clock that begins later is no encoder's delay
DECODER_MEMORY = 1.0  # seconds before a span in which packets that are read on the way to it are decoded


class Recording(ABC):
    """A file with a sound, by path or by content, opened for reading; a context manager.

    Raises Rejected: unreadable, no_video, no_audio or too_large on opening, corrupt (or no_audio for an empty stream)
    when a question cannot be answered.
    """

    _audio: av.AudioStream
    _decoder: av.AudioCodecContext  # of the sound
    _zero: float  # where the presented timeline starts on the container's clock
    _seekable: bool
    _may_begin_anew = False  # whether another recording may lie behind the first
    _renewed: frozenset[int] = frozenset()  # by number, the streams whose clock was found to begin anew on the way
    _is_read = False  # whether anything was read since it was opened
    _counts_audio = False  # whether a frame of sound follows the one before, whatever its time says

    def __init__(self, content: bytes | Path) -> None:
        self._content = content
        self._bases: dict[int, tuple[int, int]] = {}  # units of time by stream
        self._shifts: dict[int, int] = {}  # ticks by which a stream's clock began anew so far
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
            raise Rejected("unreadable", f"it cannot be read: {error.strerror or error}") from error
        try:
            self._container = open_container(self._bytes)
        except (av.FFmpegError, ValueError, OSError) as error:  # OSError: a header points beyond all files
            self._bytes.close()
            if isinstance(error, OSError) and is_machines_fault(error):
                raise
            message = error.strerror if isinstance(error, av.FFmpegError) else str(error)
            raise Rejected("unreadable", f"no decoder opens it: {message}") from error
        self._is_read = False
        self._may_begin_anew = may_begin_anew(self._container) or is_followed_by_another(self._bytes)
        try:
            self._choose_streams()
        except Rejected:
            self._close()
            raise

    def _close(self) -> None:
        self._container.close()
        self._bytes.close()

    @abstractmethod
    def _choose_streams(self) -> None:
        """Set the attributes above. Raises Rejected where the file has not what is needed."""

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What the header says, and what the data say where it cannot be believed."""

    @property
    def audio(self) -> av.AudioStream:
        """The stream of the sound; another one once a question was answered."""
        return self._audio

    def _ends(self, *numbers: int) -> dict[int, float]:
        """By the number of a stream, where its last packet ends; of these numbers, or of all."""
        ends: dict[int, float] = {}
        self._rewind(None, None)
        streams = [stream for stream in self._container.streams if not numbers or stream.index in numbers]
        for packet in self._packets(*streams):
            ticks = packet.dts if packet.pts is None else packet.pts
            if ticks is not None and packet.size:
                end = self._seconds(packet.stream, ticks) + seconds_of(packet)
                ends[packet.stream_index] = max(end, ends.get(packet.stream_index, end))
        self._rewind(None, None)
        return ends

    @cached_property
    def _data_ends(self) -> dict[int, float]:
        """The same of all streams; which of their clocks began anew on the way is kept."""
        ends = self._ends()
        self._renewed = frozenset(self._shifts)
        return ends

    @cached_property
    def _stated(self) -> float:
        """How long the header says that the file is, in seconds; 0 where it does not say.

        Of a clock that begins late (segments, parts of a longer recording) some forms state the end, as ffmpeg writes
        them; others, and other writers of the same forms (mkvmerge), state the length. It is what the data come nearer
        to, or the shorter one where they were cut off. An end is supposed where little depends on it.
        """
        stated = stated_seconds(self._container, self._bytes)
        if not stated or self._zero <= 0 or kind_of(self._container) not in CLOCK_END_STATED:
            return stated
        if self._zero < LATE_SECONDS and not self._may_begin_anew:  # else all is read anyway
            return stated - self._zero
        reached = max(self._data_ends.values(), default=0.0)
        return stated if reached > stated - self._zero / 2 else stated - self._zero

    def _check_unchained(self, joined: bool) -> None:
        """Raise Rejected for Ogg recordings put end to end. `joined`: whether a clock begins anew."""
        if kind_of(self._container) == "ogg" and (joined or is_chained_ogg(self._bytes)):
            raise Rejected("corrupt", "several Ogg recordings lie end to end in it, which no decoder goes on through")

    def _stated_end(self, stream: av.stream.Stream) -> float | None:
        if stream.start_time is None or not stream.duration:  # a length of 0 was never filled in
            return None
        return self._seconds(stream, stream.start_time + stream.duration)

    def _seconds(self, stream: av.stream.Stream, ticks: int) -> float:
        numerator, denominator = self._bases.get(stream.index) or self._base(stream)
        return ticks * numerator / denominator - self._zero  # as a Fraction it would be reduced every time

    def _base(self, stream: av.stream.Stream) -> tuple[int, int]:
        """The stream's unit of time, kept: PyAV makes a new Fraction whenever it is asked."""
        base = cast(Fraction, stream.time_base)  # every stream of a file has one
        return self._bases.setdefault(stream.index, (base.numerator, base.denominator))

    def _step(self, stream: av.stream.Stream) -> float:
        numerator, denominator = self._base(stream)
        return numerator / denominator

    def _ticks(self, stream: av.stream.Stream, seconds: float) -> int:
        return int((seconds + self._zero + CLOCK_SLACK) / float(cast(Fraction, stream.time_base)) // 1)

    def _packets(self, *streams: av.stream.Stream) -> Iterator[av.Packet]:
        """Packets of these streams until the data end, with no time that is only a guess."""
        videos = [one for one in streams if isinstance(one, av.VideoStream)]
        self._shifts, self._is_read = {}, True
        shifts = self._shifts if self._may_begin_anew else None
        return unguessed(self._container, read_packets(self._container, *streams), videos, shifts)

    def _is_seekable(self, *videos: av.VideoStream) -> bool:
        """Whether packets tell as much after a seek: an index knows the times of one recording only, and no palette."""
        is_true = is_true_after_seek(self._container, *videos) and not any(map(has_palette, videos))
        return is_true and not self._may_begin_anew

    def _rewind(self, stream: av.stream.Stream | None, seconds: float | None) -> None:
        """Stand at or before `seconds` of a stream; for None, or where the format cannot seek, at the beginning."""
        if stream is not None and seconds is not None:
            self._is_read = True
            with suppress(av.FFmpegError):
                self._container.seek(self._ticks(stream, seconds), stream=stream, backward=True)
                return
        if self._is_read:
            self._open_anew()

    def _open_anew(self) -> None:
        self._close()
        self._open()

    def audio_between(self, start: float, rate: int, count: int) -> AudioSpan:
        """`count` mono samples at `rate` Hz from `start` on; what lies outside the recording is zero."""
        for lead in SEEK_LEADS if self._seekable and starts_anywhere(self._audio) else ():
            span = self._collected(start, count / rate, start - CONTEXT - FIRST_PACKETS - lead)
            if span.begun is not None and span.begun <= max(start, self.facts.audio_start):
                return span.resampled(rate, count)
        span = self._collected(start, count / rate, None)
        if span.begun is None:
            reason = "corrupt" if span.errors else "no_audio"
            raise Rejected(reason, f"its sound stream gives no sound ({span.errors} packets fail to decode)")
        return span.resampled(rate, count)

    def _collected(self, start: float, seconds: float, begin: float | None) -> AudioCollector:
        """A span, decoded from about `begin` on or from the very beginning; of what lies long before only the times."""
        span = AudioCollector(start, seconds, self.facts.channels, self.facts.codec, self.facts.sound_step)

        def failed(packet: av.Packet) -> None:
            late = packet.pts is None or self._seconds(self._audio, packet.pts) >= span.start
            span.errors += late  # right after a seek some codecs fail until their state is complete

        last: av.Packet | None = None
        for packet in self._span_packets(span, begin):
            last = packet if packet.size else last
            for frame in decode_audio(self._decoder, packet, failed):
                counted = frame.pts is None or (self._counts_audio and span.begun is not None)
                span.add(frame, None if counted else self._seconds(self._audio, cast(int, frame.pts)))
            if span.is_full:
                return span
        span.ended = True
        if (end := self._padding_begins(span, last)) is not None:
            span.end_at(end)
        return span

    def _padding_begins(self, span: AudioCollector, last: av.Packet | None) -> float | None:
        """Where the sound ends within its last frame, None where nothing says so."""
        if not self._counts_audio or last is None or span.reached is None:
            return self.facts.audio_end
        return span.reached - padding_of(last) / self._audio.codec_context.sample_rate

    def _span_packets(self, span: AudioCollector, begin: float | None) -> Iterator[av.Packet]:
        """Packets of the sound from about `begin` on or from the very beginning, without those long before a span: the
        span is told of them."""
        self._rewind(self._audio, begin)
        may_skip = starts_anywhere(self._audio) and not self._counts_audio
        for packet in self._packets(self._audio):
            if may_skip and packet.size and packet.pts is not None and packet.duration:
                end = self._seconds(self._audio, packet.pts + packet.duration)
                if end < span.start - DECODER_MEMORY:
                    span.skip(self._seconds(self._audio, packet.pts), end)
                    continue
            yield packet

    def audio_packets(self) -> Iterator[av.Packet]:
        """Every packet of the sound from the beginning on, at last the empty one that empties a decoder."""
        self._rewind(None, None)
        return self._packets(self._audio)
