"""A video read once from front to back: the images and the sounds of many moments, which ascend.

The answers are those of `MediaFile` for each moment by itself, at the cost of one decode in place of a seek per moment.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import cast

import av
import numpy as np

from pipeline.media.audio import CONTEXT, AudioCollector, AudioSpan
from pipeline.media.decode import SILENCE_PEAK
from pipeline.media.image import decoded, is_dated_by_decoding
from pipeline.media.layouts import channel_names, channels_first
from pipeline.media.reader import MediaFile
from pipeline.media.recording import DECODER_MEMORY
from pipeline.media.streams import decode_audio, starts_anywhere
from pipeline.media.times import CLOCK_SLACK
from pipeline.shards.record import Rejected

NO_SOUND = "its sound stream gives no sound"


@dataclass(frozen=True)
class _Heard:
    """A decoded frame of sound: float32 (channels, n) at its rate, from `begin` on (seconds)."""

    begin: float
    rate: int
    channels: tuple[str, ...]
    samples: np.ndarray

    @property
    def end(self) -> float:
        return self.begin + self.samples.shape[1] / self.rate


class OnePass(MediaFile):
    """A video for reading forward. Raises Rejected as `MediaFile`; one question is asked at a time."""

    def shown_at(self, moments: Sequence[float]) -> Iterator[av.VideoFrame]:
        """For every moment (seconds, ascending) the image shown then: the last that began, else the first of all.

        One pass over the video. Where packets say when they are shown, images are skipped that are not asked for and on
        which no other depends; what cannot be decoded is left out. Nothing for a video without any image.
        """
        wanted = self._wanted(moments)
        given = 0
        for frame in self._frames_of(wanted) if wanted else ():
            while given < len(wanted) and wanted[given] == frame.pts:
                given += 1
                yield frame
            if given < len(wanted) and wanted[given] < cast(int, frame.pts):
                break  # it is hidden or damaged: a full decode knows what is shown in its place
        yield from self._shown_by_full_decode(moments[given:])

    def _wanted(self, moments: Sequence[float]) -> list[int]:
        """The time in ticks of the image of each moment; nothing where packets do not say it."""
        if not self._seekable or not moments:
            return []
        self._rewind(None, None)
        packets = [each for each in self._packets(self._video) if each.size]
        shown = sorted(each.pts for each in packets if each.pts is not None and not each.is_discard)
        is_dated = all(each.pts is not None for each in packets) and not is_dated_by_decoding(packets)
        if not shown or not is_dated or len(set(shown)) < len(shown):
            return []
        ticks = (self._ticks(self._video, moment) for moment in moments)
        return [shown[max(bisect_right(shown, tick) - 1, 0)] for tick in ticks]

    def _frames_of(self, wanted: Sequence[int]) -> Iterator[av.VideoFrame]:
        """At least the frames of these times, in the order in which they are shown."""
        self._rewind(None, None)
        chosen, last, codec = set(wanted), wanted[-1], self._video.codec_context
        for packet in chain((each for each in self._packets(self._video) if each.size), [None]):
            codec.skip_frame = "NONREF" if packet is not None and packet.pts not in chosen else "DEFAULT"
            with suppress(Rejected):
                for frame in decoded(codec, packet):
                    if frame.pts is None:
                        return
                    if frame.pts in chosen:
                        yield self._shown_part(frame)
                    if frame.pts >= last:
                        return

    def _shown_by_full_decode(self, moments: Sequence[float]) -> Iterator[av.VideoFrame]:
        waiting, shown = deque(moments), None
        if not waiting:
            return
        for seconds, frame in self.frames(lambda failure: None):
            while waiting and shown is not None and seconds > waiting[0] + CLOCK_SLACK:
                waiting.popleft()
                yield shown
            if not waiting:
                return
            shown = frame
        if shown is not None:
            yield from repeat(shown, len(waiting))

    def audio_spans(self, starts: Sequence[float], rate: int, count: int) -> Iterator[AudioSpan]:
        """As `audio_between` for every start, which ascend, with one pass over the sound: the answers are the same."""
        seconds = count / rate
        held: deque[_Heard] = deque()
        needed = [starts[0] if starts else 0.0]  # from where on packets matter; moves with the spans
        coming, last = self._heard(needed), None
        for start in starts:
            needed[0] = start
            while last is None or last.end < start + seconds + CONTEXT:
                if (frame := next(coming, None)) is None:
                    break
                held.append(last := frame)
            if last is None:
                raise Rejected("no_audio", NO_SOUND)
            while held and held[0].end < start - CONTEXT:
                held.popleft()
            yield self._laid(held, start, seconds, last.end).resampled(rate, count)

    def is_heard(self) -> bool:
        """Whether any sample reaches one step of 16-bit sound; the sound is read up to the first that does.

        Raises Rejected where none can be decoded: that is no silence.
        """
        heard = None
        for heard in self._heard([0.0]):
            if (np.abs(heard.samples) >= SILENCE_PEAK).any():
                return True
        if heard is None:
            raise Rejected("no_audio", NO_SOUND)
        return False

    def _laid(self, held: Sequence[_Heard], start: float, seconds: float, reached: float) -> AudioCollector:
        """A span out of decoded frames, of which the last one ends where it was `reached`."""
        span = AudioCollector(start, seconds, self.facts.channels, self.facts.codec, self.facts.sound_step)
        for frame in held:
            if not span.is_full:
                span.lay(frame.samples, frame.rate, frame.channels, frame.begin)
        span.ended = reached < start + seconds + CONTEXT
        if span.ended and self.facts.audio_end is not None:
            span.end_at(self.facts.audio_end)
        return span

    def _heard(self, needed: Sequence[float]) -> Iterator[_Heard]:
        """Every frame of sound from the beginning on, without those long before the second `needed`[0]."""
        channels, end = self.facts.channels, 0.0  # asked before anything is read: measuring opens the file anew
        self._rewind(None, None)
        may_skip = starts_anywhere(self._audio)
        for packet in self._packets(self._audio):
            if packet.size and packet.pts is not None and packet.duration:
                end = self._seconds(self._audio, packet.pts + packet.duration)
                if may_skip and end < needed[0] - DECODER_MEMORY:
                    continue
            for frame in decode_audio(self._decoder, packet, lambda bad: None):
                begin = end if frame.pts is None else self._seconds(self._audio, cast(int, frame.pts))
                names = channel_names(frame.layout)
                heard = _Heard(begin, frame.sample_rate, names or channels, channels_first(frame))
                end = heard.end
                yield heard
