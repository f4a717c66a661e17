"""One open video: its facts, and the image shown at a moment; the sound is that of any `recording`.

`media.decode_clip` composes a clip from these; the second decoder takes its facts from here too. Only what a question
needs is decoded: the frames from the keyframe before the moment, and of these not those that nothing depends on. Where
seeking is inexact or packets carry no time, decoding starts at the beginning.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from heapq import nlargest
from itertools import islice
from typing import cast

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import VideoReformatter

from manifests.files.images import MOST_PIXELS
from pipeline.media.audio import check_sound
from pipeline.media.facts import Facts
from pipeline.media.framing import Cropper, framing
from pipeline.media.image import (
    PacketRun,
    Placement,
    ShownFrame,
    check_size,
    decode_all,
    decode_packet,
    is_dated_by_decoding,
    placement,
    read_packet_run,
    refuse,
    upright,
)
from pipeline.media.layouts import stream_channels
from pipeline.media.matroska_index import has_index
from pipeline.media.promised import held_images, lacks_bytes
from pipeline.media.recording import LOST_SECONDS, SEEK_LEADS, Recording
from pipeline.media.streams import has_others, has_palette, heard_stream, shown_stream, starts_anywhere
from pipeline.media.times import (
    CLOCK_SLACK,
    Shown,
    clock_of,
    kind_of,
    presented,
    rate_of,
    undated,
)
from pipeline.shards.record import Rejected

MOST_APART = 2.0  # seconds between images and sound that lie beside each other in a file
PACKETS_TO_TELL = 250  # of images, in which one comes out of order where any does


class MediaFile(Recording):
    """A video, by path or by content, opened for reading; a context manager.

    Raises Rejected: unreadable, no_video, no_audio or too_large on opening, corrupt (or no_video and no_audio for empty
    streams) when a question cannot be answered.
    """

    _joined = False  # whether the clock begins anew on the way; known once the duration is

    def _choose_streams(self) -> None:
        self._video, self._audio = shown_stream(self._container), heard_stream(self._container)
        check_size(self._video.codec_context.width, self._video.codec_context.height)
        check_sound(self._audio.codec_context)
        for stream in (self._video, self._audio):
            stream.codec_context.thread_count = 1
        self._video.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        self._video.codec_context.flags |= Flags.unaligned  # else edges cut off at the left are rounded down
        self._decoder = self._audio.codec_context
        self._zero = (self._container.start_time or 0) / av.time_base
        self._seekable = self._is_seekable(self._video)

    @cached_property
    def facts(self) -> Facts:
        """Facts of the header; a duration that it lacks, or in which unused streams count, is measured by packets."""
        duration = self._duration()
        video, audio, container = self._video, self._audio, self._container  # after measuring, which opens anew
        indexed = kind_of(container) == "mov"
        return Facts(
            format=kind_of(container),
            seekable=self._seekable,
            sound_seekable=self._seekable and starts_anywhere(audio),
            cropped=self._cropper is not None,
            joined=self._joined,
            zero=self._zero,
            duration=duration,
            video_index=video.index,
            audio_index=audio.index,
            sample_rate=audio.codec_context.sample_rate,
            codec=audio.codec_context.name,
            sound_step=self._step(audio),
            channels=stream_channels(audio, self._bytes),
            audio_start=0.0 if audio.start_time is None else self._seconds(audio, audio.start_time),
            video_end=self._stated_end(video) if indexed else None,
            audio_end=self._stated_end(audio) if indexed else None,
        )

    def _duration(self) -> float:
        """How long the image and the sound are, whichever is longer; other streams may go on. Of recordings put end to
        end a header knows one; of a stream, what its last clock shows."""
        stated = self._stated  # first: it may open anew
        used = (self._video, self._audio)
        alone = bool(stated) and not has_others(self._container, *used)
        indexed = [end for end in map(self._stated_end, used) if end is not None]
        is_indexed = kind_of(self._container) == "mov" and len(indexed) == len(used)
        numbers = [stream.index for stream in used]  # what follows may open anew
        goes_on = self._goes_on_after(stated)
        if not self._may_begin_anew and not goes_on and (alone or is_indexed):
            return stated if alone else min(stated or max(indexed), max(indexed))
        ends = self._data_ends
        self._joined = not self._renewed.isdisjoint(numbers)
        self._check_unchained(self._joined)
        found = max(ends.get(number, 0.0) for number in numbers)
        if self._joined or not stated or goes_on or (self._may_begin_anew and found > stated + LOST_SECONDS):
            return found
        is_whole = max(ends.values(), default=0.0) > stated - LOST_SECONDS
        return min(stated, found) if is_whole and not alone else stated

    def _goes_on_after(self, stated: float) -> bool:
        """Whether a Matroska file has images or sound well after the end that it states. What lies there is read, which
        its index tells; without an index all of the file would be, and the header is believed."""
        if not stated or kind_of(self._container) != "matroska" or not has_index(self._bytes):
            return False
        self._rewind(self._video, stated)
        for packet in self._packets(self._video, self._audio):
            if packet.pts is not None and self._seconds(packet.stream, packet.pts) > stated + LOST_SECONDS:
                return True
        return False

    def is_cut_off(self) -> bool:
        """Whether image and sound both end well before what the header announces, so that neither is but the shorter
        one. A file that is as large as it says, or does not say it, is in doubt taken for whole."""
        duration, ends = self.facts.duration, self._data_ends
        image, sound = (ends.get(stream.index, 0.0) for stream in (self._video, self._audio))
        if max(image, sound) >= duration - LOST_SECONDS:
            return False
        if lacks_bytes(self._container, self._bytes):
            return True
        begin, end = self._last_image()
        lies_beside = begin - MOST_APART < sound < max(image, end) + MOST_APART
        return lies_beside and end < duration - LOST_SECONDS

    def _last_image(self) -> tuple[float, float]:
        """When the last image is shown, and until when if it stays for as long as the one before it, or as the rate
        says: many forms do not state how long it is, others write one step of their clock."""
        self._rewind(None, None)
        rate, held = self.average_rate, held_images(self._container, self._bytes, self._video.index)
        ticks = (
            packet.dts if packet.pts is None else packet.pts for packet in self._packets(self._video) if packet.size
        )
        *before, last = sorted(nlargest(2, {tick for tick in ticks if tick is not None})) or [0]
        begin = self._seconds(self._video, last)
        steps = [begin - self._seconds(self._video, tick) for tick in before]
        return begin, begin + max([float(1 / rate), *steps]) + held * self._step(self._video)

    def frame_at(self, seconds: float, short_side: int = 0) -> ShownFrame:
        """The last image whose presentation starts at or before `seconds`; the first one when there is none.

        short_side: pixels to which the shorter side is reduced; 0 keeps the size, and nothing is ever enlarged.
        """
        run, wanted = self._run(seconds)
        calm = self._is_calm(run)
        if run is not None and wanted is not None:
            frame = decode_packet(self._video.codec_context, run, wanted)
            if frame is not None and frame.pts is not None:
                ends = not run.passed and run.end is not None
                data_end = self._seconds(self._video, cast(int, run.end)) if ends else None
                seconds = self._seconds(self._video, frame.pts)
                return self._image(self._shown_part(frame), seconds, short_side, calm, data_end)
        return self._frame_by_full_decode(seconds, short_side, calm)

    def _run(self, seconds: float) -> tuple[PacketRun | None, av.Packet | None]:
        """The packets that tell what is shown at a moment, and the one whose image it is; None where only a full decode
        tells."""
        if has_palette(self._video):
            return None, None
        for lead in (*SEEK_LEADS, None) if self._seekable else (None,):
            self._rewind(self._video, None if lead is None else seconds - lead)
            run = read_packet_run(self._packets(self._video), self._ticks(self._video, seconds))
            if not run.timed or run.is_guessed or (is_dated_by_decoding(run.packets) and self.is_in_decoding_order):
                break
            wanted = run.first if lead is None and run.target is None else run.target
            if wanted is not None:
                return run, wanted
        return None, None

    def is_calm(self, seconds: float) -> bool:
        """Whether so little changes around a moment that the image may be standing still."""
        return self._is_calm(self._run(seconds)[0])

    def _is_calm(self, run: PacketRun | None) -> bool:
        codec, base = self._video.codec_context, cast(Fraction, self._video.time_base)
        return run is None or run.is_calm(1 / float(base), codec.width * codec.height)

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of its images as they are stored."""
        return self._video.codec_context.width, self._video.codec_context.height

    @property
    def average_rate(self) -> Fraction:
        return rate_of(self._video)

    def _frame_by_full_decode(self, seconds: float, short_side: int, calm: bool) -> ShownFrame:
        """The slow way, for packets without times and frames that are not shown when their packet says."""
        shown: tuple[float, av.VideoFrame] | None = None
        for start, frame in self.frames():
            if shown and start > seconds + CLOCK_SLACK:
                return self._image(shown[1], shown[0], short_side, calm, None)
            shown = start, frame
        if shown is None:
            raise Rejected("no_video", "its video stream holds no image")
        return self._image(shown[1], shown[0], short_side, calm, shown[0] + 1 / float(self.average_rate))

    def frames(self, failed: Callable[[Rejected], None] = refuse) -> Iterator[Shown]:
        """Every image from the beginning on, with the second at which it is shown; `failed` is told of bad packets."""
        is_undated = self.is_in_decoding_order
        self._rewind(None, None)
        packets = map(undated, self._packets(self._video)) if is_undated else self._packets(self._video)
        clock = clock_of(self._container, self._video, partial(self._seconds, self._video))
        clock = replace(clock, by_decoding=clock.by_decoding or is_undated)
        decoded = presented(decode_all(self._video.codec_context, packets, failed), clock)
        return ((seconds, self._shown_part(frame)) for seconds, frame in decoded)

    @cached_property
    def is_in_decoding_order(self) -> bool:
        """Whether packets give times in the order of decoding, and images come in another: streams of an AVI that were
        copied into MP4, MOV or Matroska. Images of the beginning are decoded to tell, apart from what is read here."""
        if not self._video.codec_context.has_b_frames:
            return False
        with MediaFile(self._content) as apart:
            packets = [packet for packet in islice(apart._packets(apart._video), PACKETS_TO_TELL) if packet.size]
            if not is_dated_by_decoding(packets):
                return False
            decoded = decode_all(apart._video.codec_context, packets, lambda failure: None)
            times = [frame.pts for frame in decoded if frame.pts is not None]
        return times != sorted(times)

    def pixels(self, frame: av.VideoFrame, short_side: int) -> tuple[np.ndarray, tuple[int, int]]:
        """A frame as a player shows it, and its width and height before it was reduced; see `upright`."""
        return upright(frame, self._aspect, short_side, self._scaler)

    def placement(self, frame: av.VideoFrame, short_side: int) -> Placement:
        """How a player puts a frame; see `image.placement`."""
        return placement(frame, self._aspect, short_side)

    def _shown_part(self, frame: av.VideoFrame) -> av.VideoFrame:
        return frame if self._cropper is None else self._cropper.cropped(frame)

    @cached_property
    def _cropper(self) -> Cropper | None:
        return framing(self._container, self._video)

    @cached_property
    def _scaler(self) -> VideoReformatter:
        return VideoReformatter()

    @property
    def _aspect(self) -> Fraction | None:
        return self._video.sample_aspect_ratio or self._video.codec_context.sample_aspect_ratio

    def _image(
        self, frame: av.VideoFrame, start: float, short_side: int, calm: bool, data_end: float | None
    ) -> ShownFrame:
        pixels, (width, height) = self.pixels(frame, short_side)
        return ShownFrame(pixels, start, width, height, data_end, calm)
