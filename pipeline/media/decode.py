"""A media file becomes one clip: the image at a moment and the sound around it, or a verdict.

Ingest calls `decode_clip` once per file; `ffmpeg_decoder.decode_clip_ffmpeg` is the same promise kept by the ffmpeg
binary, and `assemble` is what both share. Verdicts are given in this order: unreadable, no_video, no_audio, too_large
(the header decides), too_short, corrupt (decoding decides). Silent, static and short clips are kept and flagged.

Sound keeps its offset to the image: the span is centred on the moment of the presented timeline, also when the sound
starts late. Where the recording does not cover the span, up to PAD_SECONDS are left silent (`padded`); beyond that the
covered part is repeated in both directions, itself staying in place (`tiled`). A span without any sound is silence.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.media.audio import AudioSpan
from pipeline.media.facts import Facts
from pipeline.media.front_ends import find_front_end
from pipeline.media.image import ShownFrame
from pipeline.media.reader import MediaFile
from pipeline.media.recording import LOST_SECONDS
from pipeline.media.spectra import FrontEnd
from pipeline.shards.record import PADDED, SHORT, SILENT, STATIC, TILED, Rejected

ANNOTATED_SECONDS = 5.0  # VGG-SS annotators saw the frame 5.0 s into each clip
PAD_SECONDS = 0.1
SILENCE_PEAK = 2.0**-15  # one step of 16-bit sound
STATIC_INTERVAL = 1.0
STATIC_BLOCK, STATIC_LEVELS = 16, 2.0


@dataclass(frozen=True)
class DecodeOptions:
    """Which moment of a clip is taken, and in what form.

    moment: "annotated" is 5.0 s or half the duration, whichever is less; "centre" half the duration; a number is that
    many seconds, or half the duration in clips that are shorter. short_side: pixels, 0 for the native size.
    """

    moment: float | str = "annotated"
    short_side: int = 256
    front_end: FrontEnd = field(default_factory=find_front_end)
    minimum_seconds: float = 0.5


@dataclass(frozen=True)
class DecodedClip:
    """One clip, decoded. All times are seconds on the presented timeline.

    frame: uint8 (H, W, 3) RGB, upright, square pixels. waveform: float32 (front_end.samples,) in [-1, 1], mono, at
    front_end.sample_rate, centred on `moment`. `moment` is what was asked for, `frame_pts` when the image shown then
    began. Source sizes are upright and before reduction, `sample_rate` is the source's. `audio_start` is when the
    sound stream starts. flags: names of `record.FLAGS`, sorted.
    """

    frame: np.ndarray
    waveform: np.ndarray
    duration: float
    moment: float
    frame_pts: float
    source_width: int
    source_height: int
    sample_rate: int
    audio_start: float
    flags: tuple[str, ...]


def decode_clip(content: bytes | Path, options: DecodeOptions = DecodeOptions()) -> DecodedClip:
    """Decode one file with PyAV, in this process and thread. Raises Rejected with its verdict."""
    with MediaFile(content) as media:
        facts = media.facts
        moment = choose_moment(facts.duration, options)
        image = media.frame_at(moment, options.short_side)
        front_end = options.front_end
        audio = media.audio_between(span_start(moment, options), front_end.sample_rate, front_end.samples)
        check_complete(facts, moment, image.data_end, audio, options, media.is_cut_off)
        static = image.calm and is_static(
            image.pixels, media.frame_at(comparison_moment(moment, facts.duration), options.short_side).pixels
        )
    return assemble(facts, moment, image, audio, static, options)


def choose_moment(duration: float, options: DecodeOptions) -> float:
    """The moment asked for, in seconds. Raises Rejected for a clip shorter than the shortest accepted."""
    if duration < options.minimum_seconds:
        raise Rejected("too_short", f"it lasts {duration:.3f} s, less than {options.minimum_seconds:g} s")
    match options.moment:
        case "annotated":
            return min(ANNOTATED_SECONDS, duration / 2)
        case "centre":
            return duration / 2
        case seconds:
            return float(seconds) if float(seconds) < duration else duration / 2


def span_start(moment: float, options: DecodeOptions) -> float:
    """Where the span of sound centred on the moment begins; negative near the clip's start."""
    return moment - options.front_end.seconds / 2


def comparison_moment(moment: float, duration: float) -> float:
    """The other moment that tells whether the image stands still: a second before, after, or the clip's start."""
    if moment >= STATIC_INTERVAL:
        return moment - STATIC_INTERVAL
    return moment + STATIC_INTERVAL if moment + STATIC_INTERVAL < duration else 0.0


def check_complete(
    facts: Facts,
    moment: float,
    image_data_end: float | None,
    audio: AudioSpan,
    options: DecodeOptions,
    is_cut_off: Callable[[], bool] = lambda: False,
) -> None:
    """Raise Rejected where the data break off before what the container promises, and that part was needed.

    An mp4's index states the end of each stream; elsewhere only the whole has an end, which one stream alone may miss.
    is_cut_off: whether both miss it; asked only where one of them lacks something, as all of the file is read for it.
    The image is then judged anew: the last one may be meant to stay for long.
    """
    span_end = span_start(moment, options) + options.front_end.seconds
    image_lost = _is_lost(image_data_end, moment, facts.video_end or facts.duration)
    audio_lost = _is_lost(audio.data_end, span_end, facts.audio_end or facts.duration)
    indexed = facts.video_end is not None and facts.audio_end is not None
    lacking = image_lost or _is_lost(audio.data_end, span_end, facts.duration, PAD_SECONDS)
    if (image_lost or audio_lost) if indexed else (lacking and is_cut_off()):
        raise Rejected("corrupt", f"the data end before the {facts.duration:.2f} s that the file announces")
    if audio.errors and audio.hole > PAD_SECONDS:
        raise Rejected("corrupt", f"{audio.errors} packets of sound fail to decode, {audio.hole:.2f} s are missing")


def _is_lost(data_end: float | None, needed: float, promised: float, forgiven: float = LOST_SECONDS) -> bool:
    return data_end is not None and min(needed, promised) - data_end > forgiven


def assemble(
    facts: Facts, moment: float, image: ShownFrame, audio: AudioSpan, static: bool, options: DecodeOptions
) -> DecodedClip:
    """Fill the span, clip it, flag what is unusual."""
    waveform, filled = fill_span(audio, options.front_end)
    flags = {filled} if filled is not None else set[str]()
    flags |= {SILENT} if np.abs(waveform).max() < SILENCE_PEAK else set()
    flags |= {STATIC} if static else set()
    flags |= {SHORT} if facts.duration < options.front_end.seconds else set()
    return DecodedClip(
        frame=image.pixels,
        waveform=waveform,
        duration=facts.duration,
        moment=moment,
        frame_pts=image.seconds,
        source_width=image.source_width,
        source_height=image.source_height,
        sample_rate=facts.sample_rate,
        audio_start=facts.audio_start,
        flags=tuple(sorted(flags)),
    )


def fill_span(audio: AudioSpan, front_end: FrontEnd) -> tuple[np.ndarray, str | None]:
    """The whole span in [-1, 1], float32, and the flag (PADDED, TILED or None) that says how it was filled."""
    samples = np.clip(audio.samples, -1.0, 1.0)
    covered = audio.last - audio.first
    missing = len(samples) - covered
    if missing <= 1:  # the last sample of an exact cut may be lost to rounding between two rates
        return samples, None
    if missing <= PAD_SECONDS * front_end.sample_rate or not covered:
        return samples, PADDED
    places = audio.first + (np.arange(len(samples)) - audio.first) % covered
    return samples[places], TILED


def is_static(image: np.ndarray, other: np.ndarray) -> bool:
    """Whether two images, uint8 (H, W, 3), show the same: no 16-pixel block's mean differs by more than 2 of 255.

    Means forgive grain and the pumping of lossy coding, and small blocks still see a small thing move.
    """
    if image.shape != other.shape:
        return False
    difference = _block_means(image) - _block_means(other)
    return bool(np.abs(difference).max() <= STATIC_LEVELS)


def _block_means(image: np.ndarray) -> np.ndarray:
    rows = np.arange(0, image.shape[0], STATIC_BLOCK)
    columns = np.arange(0, image.shape[1], STATIC_BLOCK)
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float32), rows, axis=0), columns, axis=1)
    heights = np.diff(np.append(rows, image.shape[0]))
    widths = np.diff(np.append(columns, image.shape[1]))
    return sums / (heights[:, None] * widths)[..., None]
