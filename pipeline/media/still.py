"""An image and a sound that lie apart become one clip: the promise of `media.decode_clip` without a video.

The moment is one of the sound: the same rule chooses it, so that ten seconds of a VGGSound clip are taken around 5.0 s
and a sound that was cut to three seconds is taken whole. When the image was taken is only known where the corpus
says so. A single image cannot be told to stand still, so `static` is never flagged.
"""

import io
import warnings
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.media.decode import DecodedClip, DecodeOptions, assemble, check_complete, choose_moment, span_start
from pipeline.media.image import check_size, upright
from pipeline.media.reader import LOST_SECONDS, Facts, MediaFile, ShownFrame, first_decodable
from pipeline.shards.record import Rejected

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
STREAMED_RIFF = 0xFFFF0000  # what a writer that could not go back left as the size
GUESSING_FORMATS = ("mp3", "aac")  # their headers state no length, so it is estimated from the first frames


def decode_pair(image: bytes | Path, audio: bytes | Path, options: DecodeOptions = DecodeOptions()) -> DecodedClip:
    """Decode one image and its sound. Raises Rejected with its verdict, the sound's first."""
    with AudioFile(audio) as media:
        facts = media.facts
        moment = choose_moment(facts.duration, options)
        front_end = options.front_end
        span = media.audio_between(span_start(moment, options), front_end.sample_rate, front_end.samples)
    check_complete(facts, moment, None, span, options)
    return assemble(facts, moment, read_image(image, moment, options.short_side), span, False, options)


def read_image(content: bytes | Path, moment: float, short_side: int) -> ShownFrame:
    """An image file as if it were presented at `moment`: upright, RGB, never enlarged. Raises Rejected."""
    try:
        with _opened(content) as handle, _without_warnings(), Image.open(handle, formats=FORMATS) as image:
            check_size(*image.size)
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Rejected("too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise Rejected("unreadable", "it is no image") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged JPEG and PNG data
        raise Rejected("corrupt", f"the image cannot be decoded: {error}") from error
    reduced, (width, height) = upright(av.VideoFrame.from_ndarray(pixels, format="rgb24"), None, short_side)
    return ShownFrame(reduced, moment, width, height, data_end=None, calm=False)


def _opened(content: bytes | Path) -> BinaryIO:
    return io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb")  # the caller closes it


def _without_warnings() -> warnings.catch_warnings:
    """Pillow warns of an image before it refuses one twice that large: both are too large here."""
    return warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning)


class AudioFile(MediaFile):
    """A file of which only the sound is wanted: it may have no image, and cover art is none."""

    def _choose_streams(self) -> None:
        self._audio = first_decodable(list(self._container.streams.audio), "no_audio", "sound")
        self._audio.codec_context.thread_count = 1
        self._zero = (self._container.start_time or 0) / av.time_base

    @cached_property
    def facts(self) -> Facts:
        """Facts of the sound; its length is measured, as mp3 headers only guess it. Raises Rejected (corrupt) when the
        data end long before a header that does not guess says: the middle would be another one."""
        duration = self._measured_duration()
        stated = self._stated_duration(duration)
        if self._container.format.name not in GUESSING_FORMATS and stated - duration > LOST_SECONDS:
            raise Rejected("corrupt", f"the data end at {duration:.2f} of the {stated:.2f} s that the file announces")
        audio = self._audio
        return Facts(
            format=self._container.format.name,
            zero=self._zero,
            duration=duration,
            video_index=-1,
            audio_index=audio.index,
            sample_rate=audio.codec_context.sample_rate,
            audio_start=0.0 if audio.start_time is None else self._seconds(audio, audio.start_time),
            video_end=None,
            audio_end=None,
        )

    def _measured_duration(self) -> float:
        return self._measure(self._audio)

    def _stated_duration(self, measured: float) -> float:
        """What the header says. Of a wav that was cut off the demuxer quietly takes what is there for the whole."""
        stated = (self._container.duration or 0) / av.time_base
        size = self._bytes.seek(0, io.SEEK_END)
        self._bytes.seek(0)
        head = self._bytes.read(8)
        self._rewind(None, None)  # the handle is the demuxer's
        announced = int.from_bytes(head[4:], "little") + 8
        is_cut = head[:4] == b"RIFF" and size < announced < STREAMED_RIFF
        return max(stated, measured * announced / size) if is_cut else stated
