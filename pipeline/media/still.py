"""An image and a sound that lie apart become one clip: the promise of `media.decode_clip` without a video.

The moment is one of the sound: the same rule chooses it, so that ten seconds of a VGGSound clip are taken around 5.0 s
and a sound that was cut to three seconds is taken whole. When the image was taken is only known where the corpus
says so. A single image cannot be told to stand still, so `static` is never flagged.
"""

import io
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.media.announced import UNTIL_THE_END, stated_bytes, stated_frames
from pipeline.media.audio import check_sound
from pipeline.media.decode import DecodedClip, DecodeOptions, assemble, check_complete, choose_moment, span_start
from pipeline.media.facts import Facts
from pipeline.media.image import ShownFrame, check_size, upright
from pipeline.media.layouts import stream_channels
from pipeline.media.recording import LOST_SECONDS, Recording
from pipeline.media.still_colours import in_colour, of_ordinary_light
from pipeline.media.streams import decode_audio, decoder_of, has_others, heard_stream, starts_anywhere
from pipeline.media.times import kind_of
from pipeline.shards.record import Rejected

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
GUESSING_FORMATS = ("mp3", "aac")  # their headers state no length, so it is estimated from the first frames


def decode_pair(image: bytes | Path, audio: bytes | Path, options: DecodeOptions = DecodeOptions()) -> DecodedClip:
    """Decode one image and its sound. Raises Rejected with its verdict, the sound's first."""
    with AudioFile(audio) as media:
        facts = media.facts
        moment = media.moment(options)
        front_end = options.front_end
        span = media.audio_between(span_start(moment, options), front_end.sample_rate, front_end.samples)
    check_complete(facts, moment, None, span, options)
    return assemble(facts, moment, read_image(image, moment, options.short_side), span, False, options)


def read_image(content: bytes | Path, moment: float, short_side: int) -> ShownFrame:
    """An image file as if it were presented at `moment`: upright, RGB, never enlarged. Raises Rejected."""
    frame = av.VideoFrame.from_ndarray(read_pixels(content, rgb_on_white), format="rgb24")
    reduced, (width, height) = upright(frame, None, short_side)
    return ShownFrame(reduced, moment, width, height, data_end=None, calm=False)


def read_pixels(content: bytes | Path, seen: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    """What `seen` (`rgb_on_white` or `rgba`) makes of an image file that was turned upright. Raises Rejected."""
    try:
        with _opened(content) as handle, _without_warnings(), Image.open(handle, formats=FORMATS) as image:
            check_size(*image.size)
            return seen(turned_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Rejected("too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise Rejected("unreadable", _no_image(content)) from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged JPEG and PNG data
        raise Rejected("corrupt", f"the image cannot be decoded: {error}") from error


def _no_image(content: bytes | Path) -> str:
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    return f"it is no image of the forms {', '.join(FORMATS)}" if size else "the image is empty (0 bytes)"


def turned_upright(image: Image.Image) -> Image.Image:
    """An image that was opened and not yet decoded, upright and of ordinary light, to be asked for its pixels by
    `rgb_on_white` or `rgba`. To decode it raises OSError, SyntaxError or ValueError where it is damaged."""
    return ImageOps.exif_transpose(of_ordinary_light(image))


def rgb_on_white(image: Image.Image) -> np.ndarray:
    """uint8 (H, W, 3) of an image of any sample format, as a viewer shows it on white. Raises ValueError for samples of
    which nothing says what is black and what is white."""
    seen = in_colour(image)
    if seen.mode == "RGBA":
        seen = Image.alpha_composite(Image.new("RGBA", image.size, "white"), seen)
    return np.asarray(seen.convert("RGB"))


def rgba(image: Image.Image) -> np.ndarray:
    """uint8 (H, W, 4): the same colours and, apart from them, how much of each is seen. Raises ValueError likewise."""
    return np.asarray(in_colour(image).convert("RGBA"))


def _opened(content: bytes | Path) -> BinaryIO:
    return io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb")  # the caller closes it


def _without_warnings() -> warnings.catch_warnings:
    """Pillow warns of an image before it refuses one twice that large: both are too large here."""
    return warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning)


class AudioFile(Recording):
    """A file of which only the sound is wanted: it may have no image, and cover art is none."""

    def _choose_streams(self) -> None:
        self._audio = heard_stream(self._container)
        check_sound(self._audio.codec_context)
        self._audio.codec_context.thread_count = 1
        self._decoder = decoder_of(self._audio, self._bytes)
        self._zero = (self._container.start_time or 0) / av.time_base
        self._seekable = self._is_seekable()
        self._counts_audio = kind_of(self._container) in GUESSING_FORMATS
        if self._counts_audio:  # a header's count that is too small would have samples in the middle cut as padding
            self._audio.codec_context.options = {"flags2": "skip_manual"}

    @cached_property
    def facts(self) -> Facts:
        """Facts of the sound; its length is measured: headers guess it, or were written before it was known."""
        duration = self._counted() if kind_of(self._container) == "aac" else self._end()
        self._check_unchained(bool(self._shifts))
        audio = self._audio
        return Facts(
            format=kind_of(self._container),
            seekable=self._seekable,
            sound_seekable=self._seekable and starts_anywhere(audio),
            cropped=False,
            joined=bool(self._shifts),
            zero=self._zero,
            duration=duration,
            video_index=-1,
            audio_index=audio.index,
            sample_rate=audio.codec_context.sample_rate,
            codec=audio.codec_context.name,
            sound_step=self._step(audio),
            channels=stream_channels(audio, self._bytes),
            audio_start=0.0 if audio.start_time is None else self._seconds(audio, audio.start_time),
            video_end=None,
            audio_end=None,
        )

    def _end(self) -> float:
        return self._ends(self._audio.index).get(self._audio.index, 0.0)

    def _counted(self) -> float:
        """Seconds of all frames: an ADTS file has no times, and its rate may change."""
        decoded = [decode_audio(self._decoder, each, lambda bad: None) for each in self._packets(self._audio)]
        self._rewind(None, None)
        return sum(frame.samples / frame.sample_rate for frames in decoded for frame in frames)

    def moment(self, options: DecodeOptions) -> float:
        """The moment asked for. A header that announces more than is there is not believed, but where the sound is cut
        off before what is needed the image belongs to a moment that was lost. Raises Rejected (corrupt)."""
        duration = self.facts.duration
        if options.moment == "centre" or self.announced - duration <= LOST_SECONDS:
            return choose_moment(duration, options)
        moment = choose_moment(self.announced, options)
        self.check_reaches(span_start(moment, options) + options.front_end.seconds)
        return moment

    def check_reaches(self, seconds: float) -> None:
        """Raise Rejected (corrupt) where the sound was cut off before what is needed, which goes up to `seconds`."""
        there, announced = self.facts.duration, self.announced
        if min(seconds, announced) - there > LOST_SECONDS:
            raise Rejected("corrupt", f"the data end at {there:.2f} of the {announced:.2f} s that the file announces")

    @cached_property
    def announced(self) -> float:
        """How long the file says that the sound is, in seconds; not longer than it is where it says nothing."""
        measured, bytes_there = self.facts.duration, self._bytes.seek(0, io.SEEK_END)
        stated = stated_bytes(self._bytes)
        frames = stated_frames(self._bytes) if self.facts.format == "mp3" else None
        self._open_anew()  # the handle is the demuxer's
        if frames is not None:
            return max(measured, frames / self.facts.sample_rate)
        goes_on = stated == UNTIL_THE_END and not has_others(self._container, self._audio)
        if self.facts.format in GUESSING_FORMATS or goes_on:  # AIFF counts its frames beside that, as wrongly
            return measured
        if stated is not None and stated > bytes_there:
            return measured * stated / bytes_there
        return self._stated_of_sound()

    def _stated_of_sound(self) -> float:
        """What the container says; of one with an image that may be the image's length, and the sound a shorter one."""
        stated = self._stated
        if not has_others(self._container, self._audio):
            return stated
        if kind_of(self._container) == "mov" and (end := self._stated_end(self._audio)) is not None:
            return end
        is_whole = max(self._data_ends.values(), default=0.0) > stated - LOST_SECONDS
        return self.facts.duration if is_whole else stated
