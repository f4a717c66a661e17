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
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from pipeline.media.announced import UNTIL_THE_END, stated_bytes, stated_frames
from pipeline.media.audio import check_sound
from pipeline.media.decode import DecodedClip, DecodeOptions, assemble, check_complete, choose_moment, span_start
from pipeline.media.facts import Facts
from pipeline.media.image import ShownFrame, check_size, upright
from pipeline.media.layouts import stream_channels
from pipeline.media.recording import LOST_SECONDS, Recording
from pipeline.media.streams import decode_audio, decoder_of, has_others, heard_stream, starts_anywhere
from pipeline.media.times import kind_of
from pipeline.shards.record import Rejected

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
DEEPEST_GREY = 0xFFFF
SCREEN_GAMMA, USUAL_GAMMA = 2.2, 0.05  # of an ordinary screen; what differs by less is that of one, as libpng has it
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
            return seen(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Rejected("too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise Rejected("unreadable", f"it is no image of the forms {', '.join(FORMATS)}") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged JPEG and PNG data
        raise Rejected("corrupt", f"the image cannot be decoded: {error}") from error


def rgb_on_white(image: Image.Image) -> np.ndarray:
    """uint8 (H, W, 3) of an image of any sample format, as a viewer shows it on white. Raises ValueError for samples of
    which nothing says what is black and what is white."""
    seen = _in_colour(image)
    if seen.mode == "RGBA":
        seen = Image.alpha_composite(Image.new("RGBA", image.size, "white"), seen)
    return np.asarray(seen.convert("RGB"))


def rgba(image: Image.Image) -> np.ndarray:
    """uint8 (H, W, 4): the same colours and, apart from them, how much of each is seen. Raises ValueError likewise."""
    return np.asarray(_in_colour(image).convert("RGBA"))


def _in_colour(image: Image.Image) -> Image.Image:
    """RGBA where something of it may be transparent, else RGB. Pillow itself takes all greys of 16 bits for white."""
    if image.mode.startswith("I"):
        return _of_deep_grey(image)
    if image.mode == "F":
        raise ValueError("its samples are fractions, and nothing says which is white")
    if image.has_transparency_data:
        return _in_srgb(image.convert("RGBA"))
    return _in_srgb(image).convert("RGB")


def _of_deep_grey(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, in 16 or in 32."""
    samples = np.asarray(image).astype(np.int64)
    if samples.min() < 0 or samples.max() > DEEPEST_GREY:
        raise ValueError("its samples have more than 16 bits, and nothing says which is white")
    exponent = 1.0 if "srgb" in image.info or "icc_profile" in image.info else _exponent(image)
    grey = Image.fromarray(np.round(255 * (samples / DEEPEST_GREY) ** exponent).astype(np.uint8))
    if (clear := image.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray(np.where(samples == clear, 0, 255).astype(np.uint8)))
    return grey.convert("RGB" if clear is None else "RGBA")


def _in_srgb(image: Image.Image) -> Image.Image:
    """In the colours of a screen, where the file says by a profile that its own are others: a camera's, those
    of print. A profile that is none says nothing."""
    profile = image.info.get("icc_profile")
    if image.mode == "1":
        return image
    if not profile:
        return image if "srgb" in image.info else _of_usual_gamma(image)
    image = image.convert("RGB") if image.mode in ("P", "PA") else image
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(own):
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        shown = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return shown or image


def _of_usual_gamma(image: Image.Image) -> Image.Image:
    """As a screen needs the samples, where a PNG without sRGB says by gAMA that its own are of another gamma."""
    exponent = _exponent(image)
    if exponent == 1:
        return image
    image = image.convert("RGB") if image.mode in ("P", "PA") else image
    brighter = [round(255 * (sample / 255) ** exponent) for sample in range(256)]
    tables = [list(range(256)) if band == "A" else brighter for band in image.getbands()]
    return image.point([value for table in tables for value in table])


def _exponent(image: Image.Image) -> float:
    gamma = image.info.get("gamma") or 0.0
    is_usual = gamma <= 0 or abs(gamma * SCREEN_GAMMA - 1) < USUAL_GAMMA
    return 1.0 if is_usual else 1 / (gamma * SCREEN_GAMMA)


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
        return self._ends(self._audio).get(self._audio.index, 0.0)

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
        self._rewind(None, None)  # the handle is the demuxer's
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
