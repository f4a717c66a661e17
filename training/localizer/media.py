"""What a user gives, a path or an array, becomes what models are shown: frames and spans of sound as ingest makes them.

Refusals of the readers (`Rejected`) become one sentence for whoever gave the file.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from manifests.errors import InputError
from manifests.files.given import special_file
from manifests.given_arrays import given_array, in_short, number_of
from pipeline.media.audio import (
    BEYOND_FULL_SCALE,
    LOWEST_RATE,
    MAX_RATE,
    MOST_CHANNELS,
    SIXTEEN_OF_32,
    AudioCollector,
)
from pipeline.media.decode import SILENCE_PEAK, DecodeOptions, choose_moment, fill_span, span_start
from pipeline.media.image import upright
from pipeline.media.layouts import UNNAMED
from pipeline.media.one_pass import OnePass
from pipeline.media.reader import MediaFile
from pipeline.media.spectra import FrontEnd
from pipeline.media.still import AudioFile, read_image, rgb_on_white
from pipeline.shards.record import Rejected

SEEN_SHORT_SIDE = 256  # what ingest keeps of a frame, and what training saw
# (silence, distance to the loudest) of the integers that sound is kept in; wider ones are numpy's, and say no scale
INTEGERS = {"uint8": (128, 2**7), "int8": (0, 2**7), "int16": (0, 2**15), "int32": (0, 2**31)}
NO_IMAGE = "holds no image that can be decoded"
CHANNELS = {1: ("FC",), 2: ("FL", "FR")}  # what those of an array are


@contextmanager
def readable(path: Path) -> Iterator[MediaFile]:
    """A video, opened. InputError where it is absent, cannot be read, or lacks image or sound."""
    with refusing(path), MediaFile(path) as media:
        yield media


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """InputError in place of what readers refuse, and for a file that is not there."""
    if not path.is_file():
        kind = special_file(path) or ("a folder" if path.is_dir() else None)
        what = f"{path} is {kind}" if kind else f"there is no file {path}"
        raise InputError(f"{what}. Give the path of a video, an image or a sound.")
    with _refusals_of(str(path)):
        yield


@contextmanager
def _refusals_of(what: str) -> Iterator[None]:
    try:
        yield
    except Rejected as refusal:
        raise InputError(
            f"{what} cannot be localized: {refusal.message} ({refusal.reason}). It needs a readable image and audio."
        ) from refusal


def frames_at(path: Path, moments: Sequence[float], short_side: int = SEEN_SHORT_SIDE) -> Iterator[np.ndarray]:
    """For every moment (ascending, seconds) the image shown then: the last that began, else the first of all.

    uint8 (H, W, 3), upright, the short side at most `short_side`. One pass over the video. Raises InputError when no
    image can be decoded.
    """
    is_empty = True
    with OnePass(path) as media:
        for frame in media.shown_at(moments):
            is_empty = False
            yield media.pixels(frame, short_side)[0]
    if is_empty:
        raise InputError(f"{path} {NO_IMAGE}. Give another video.")


def heard_at(path: Path, moments: Sequence[float], front_end: FrontEnd) -> Iterator[np.ndarray]:
    """float32 (samples,) of the sound around each moment (ascending); where the recording ends, filled as in ingest."""
    starts = [moment - front_end.seconds / 2 for moment in moments]
    with OnePass(path) as media:
        for span in media.audio_spans(starts, front_end.sample_rate, front_end.samples):
            yield fill_span(span, front_end)[0]


def is_silent(waveform: np.ndarray) -> bool:
    """Whether nothing is heard: no sample (of [-1, 1]) reaches one step of 16-bit sound, as in ingest."""
    return bool(np.abs(waveform).max() < SILENCE_PEAK)


def still_image(image: Path | str | np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) as training saw frames, of a file or of uint8 (H, W, 3), (H, W, 4) or (H, W).

    InputError for anything else.
    """
    if isinstance(image, Path | str):
        with refusing(Path(image)):
            return read_image(Path(image), 0.0, SEEN_SHORT_SIDE).pixels
    pixels = rgb_pixels(image)
    with _refusals_of("the array of an image"):
        return upright(av.VideoFrame.from_ndarray(pixels, format="rgb24"), None, SEEN_SHORT_SIDE)[0]


def rgb_pixels(image: Any) -> np.ndarray:
    """uint8 (H, W, 3) of an array of uint8 (H, W, 3), (H, W, 4) or (H, W); what is transparent shows white, as in
    files. InputError for anything else."""
    pixels = given_array(image, "the image")
    grey = pixels.ndim == 2
    fits = grey or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not fits or not pixels.size:
        raise InputError(
            f"the image is an array of {pixels.dtype}, shape {pixels.shape}. Give uint8 of (height, width, 3), red "
            "green blue from 0 to 255, or the path of an image file."
        )
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return rgb_on_white(Image.fromarray(np.ascontiguousarray(pixels)))
    return np.ascontiguousarray(np.repeat(pixels[..., None], 3, axis=2) if grey else pixels)


def still_audio(
    audio: Path | str | np.ndarray, sampling_rate: int | None, moment: float | None, front_end: FrontEnd
) -> tuple[np.ndarray, float]:
    """float32 (samples,) around a moment of a file or of an array, filled as in ingest; and the moment, in seconds.

    moment: seconds; None takes the moment that ingest takes. Arrays are (samples,) or (samples, channels), floats in
    [-1, 1] or integers of 8, 16 or 32 bits, where the range of the type is that of the sound, and need `sampling_rate`
    in Hz; a file says its own. InputError for what cannot be used, and for another rate than the file's.
    """
    options = DecodeOptions(front_end=front_end, minimum_seconds=0.0)
    if isinstance(audio, Path | str):
        with refusing(Path(audio)), AudioFile(Path(audio)) as media:
            _check_rate_of_file(sampling_rate, Path(audio), media)
            chosen = _moment_in_file(media, moment, options)
            span = media.audio_between(span_start(chosen, options), front_end.sample_rate, front_end.samples)
            return fill_span(span, front_end)[0], chosen
    samples, names = _channels(given_array(audio, "the sound"))
    rate = _checked_rate(sampling_rate)
    chosen = _moment(samples.shape[1] / rate, moment, options)
    collected = AudioCollector(span_start(chosen, options), front_end.seconds)
    collected.lay(samples, rate, names, 0.0)
    return fill_span(collected.resampled(front_end.sample_rate, front_end.samples), front_end)[0], chosen


def _moment_in_file(media: AudioFile, moment: float | None, options: DecodeOptions) -> float:
    """The moment of a file, of which what is needed may have been cut off. Raises Rejected."""
    if moment is None:
        return media.moment(options)
    chosen = _moment(media.facts.duration, moment, options)
    media.check_reaches(span_start(chosen, options) + options.front_end.seconds)
    return chosen


def _moment(duration: float, moment: float | None, options: DecodeOptions) -> float:
    """The moment that was asked for, else the one that ingest takes, in seconds."""
    if moment is None:
        return choose_moment(duration, options)
    if np.isnan(seconds := number_of(moment)):
        raise InputError(f"the moment is {in_short(moment)}. Give one number, in seconds.")
    return checked_moments([seconds], duration)[0]


def _checked_rate(given: Any) -> int:
    """InputError for what is no whole number of samples a second, or not one that sound has."""
    is_number = isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
    if not is_number or not LOWEST_RATE <= given <= MAX_RATE or given != int(given):  # NaN is in no range
        raise InputError(
            f"the sampling_rate of the array of sound is {in_short(given)}: an array does not say how fast it is. Give "
            f"sampling_rate=, a whole number of samples a second from {LOWEST_RATE} to {MAX_RATE}."
        )
    return int(given)


def _check_rate_of_file(given: Any, path: Path, media: AudioFile) -> None:
    """InputError for a rate that is not the file's own: one of the two would be wrong, and nothing says which."""
    if given is not None and number_of(given) != (rate := media.facts.sample_rate):
        raise InputError(
            f"the sampling_rate is {in_short(given)}, but {path} says itself that it has {rate} samples a second. "
            "Leave sampling_rate out for a file; where the file is wrong, give its samples as an array."
        )


def _channels(samples: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """float32 (channels, samples) in [-1, 1], and the channels' names; the shorter axis has the channels.

    They are mixed as those of a file: two are left and right, of more nothing says what they are.
    """
    is_float = samples.dtype.kind == "f"
    if not (is_float or samples.dtype.name in INTEGERS) or samples.ndim not in (1, 2) or not samples.size:
        raise InputError(
            f"the sound is an array of {samples.dtype}, shape {samples.shape}. Give floats in [-1, 1], or integers "
            f"({', '.join(INTEGERS)}) whose type says what is loudest, of (samples,) or (samples, channels), or the "
            "path of a file."
        )
    silence, loudest = (0, 1) if is_float else INTEGERS[samples.dtype.name]
    scaled = (samples.astype(np.float64) - silence) / loudest
    _check_scale(scaled, samples.dtype)
    if samples.ndim == 2:
        scaled = scaled if int(np.argmin(samples.shape)) == 0 else scaled.T
    channels = np.ascontiguousarray(np.atleast_2d(scaled), np.float32)
    if len(channels) > MOST_CHANNELS:
        raise InputError(f"the sound is an array of {len(channels)} channels. Give at most {MOST_CHANNELS}.")
    return channels, CHANNELS.get(len(channels), (UNNAMED,) * len(channels))


def _check_scale(scaled: np.ndarray, given: np.dtype) -> None:
    """InputError for samples, of which 1 is the loudest, that are no numbers, or of another scale than their type.

    A quiet sound of 16 bits may hold small integers; of 32 bits, values that fit in 16 are below all that is heard.
    """
    peak = np.abs(scaled).max()
    if not np.isfinite(peak):
        raise InputError("the sound holds values that are no numbers (NaN or infinity). Give finite samples.")
    if peak > BEYOND_FULL_SCALE:
        raise InputError(
            f"the sound is an array of floats up to {peak:g}, where 1 is the loudest. Divide by the largest value that "
            "its source can have (32768 for sound of 16 bits), or give the integers themselves."
        )
    if given.name == "int32" and 0 < peak <= SIXTEEN_OF_32:
        raise InputError(
            f"the sound is an array of int32 up to {peak * 2**31:.0f}, where {2**31} is the loudest: it would be heard "
            "as silence, and is of 16 bits, it seems. Give such values as int16 (.astype('int16')), a silent sound as "
            "zeros."
        )


def checked_moments(moments: Sequence[float], duration: float) -> list[float]:
    """The moments as seconds. InputError for none, for what is no number, and for those outside of the recording."""
    given: list[Any] = given_array(moments, "what is given as moments").reshape(-1).tolist()
    seconds = [number_of(moment) for moment in given]
    wrong = [moment for moment, number in zip(given, seconds, strict=True) if not 0 <= number <= duration]
    if not seconds or wrong:
        asked = f"the moment {in_short(wrong[0])} s" if wrong else "no moment"
        raise InputError(f"{asked} was asked for; the recording goes from 0 to {duration:.2f} s. Give moments within.")
    return seconds
