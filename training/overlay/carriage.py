"""How a sound travels into another container: as it is where that takes it, as AAC at a rate that AAC has elsewhere.

Answered before any work by trying: a container's header is written into memory.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

from manifests.errors import InputError
from pipeline.media.layouts import channel_names, channels_first, mixed
from pipeline.media.reader import MediaFile

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
PLAIN = ("mono", "stereo")


@dataclass(frozen=True)
class Carriage:
    """`rate` in Hz and `layout` of the AAC that a sound becomes; None where its packets are copied."""

    rate: int | None
    layout: str
    said: str

    def stream(self, result: av.container.OutputContainer, audio: av.AudioStream) -> av.AudioStream:
        """The sound's stream of the result."""
        if self.rate is None:
            return result.add_stream_from_template(audio)
        return result.add_stream("aac", rate=self.rate, layout=self.layout)


def carried(video: Path, out: Path) -> Carriage:
    """How the sound of a video is carried to `out`. InputError when it cannot be, Rejected for no readable video."""
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"the overlay cannot be written as {out.name}: give --out a name in {', '.join(FORMATS)}.")
    with MediaFile(video) as media:
        return carriage(media.audio, out.suffix.lower())


def carriage(audio: av.AudioStream, suffix: str) -> Carriage:
    """How this sound is carried in a file of this suffix. Raises InputError when it cannot be."""
    copied = Carriage(None, "", "copied")
    if _is_taken(copied, audio, suffix) is None:
        return copied
    source, rate = audio.codec_context.sample_rate, _aac_rate(audio.codec_context.sample_rate)
    layout = "stereo" if audio.codec_context.layout.name == "stereo" else "mono"
    said = "encoded again as AAC" + (f" at {rate} Hz, which has no {source} Hz" if rate != source else "")
    again = Carriage(rate, layout, said)
    if (refusal := _is_taken(again, audio, suffix)) is not None:
        raise InputError(f"the audio cannot be carried in a {suffix} file ({refusal}). Give --out another container.")
    return again


def _is_taken(way: Carriage, audio: av.AudioStream, suffix: str) -> Exception | None:
    """None when a container takes the sound this way, else its refusal."""
    try:
        with av.open(io.BytesIO(), "w", format=FORMATS[suffix]) as trial:
            way.stream(trial, audio)
            trial.start_encoding()
    except (av.FFmpegError, ValueError) as refusal:
        return refusal
    return None


def _aac_rate(rate: int) -> int:
    """The next rate that AAC has and that loses nothing, or its highest."""
    rates = sorted(av.Codec("aac", "w").audio_rates or [44100])
    return next((each for each in rates if each >= rate), rates[-1])


class Converter:
    """Frames of any rate and layout to those of one AAC stream; every frame keeps its time."""

    def __init__(self, way: Carriage) -> None:
        self.way = way
        self._kind: tuple[int, str, str] | None = None

    def frames(self, frame: av.AudioFrame | None) -> Iterator[av.AudioFrame]:
        """What a frame becomes; None gives what is still held."""
        if frame is None:
            yield from self._resampler.resample(None) if self._kind else ()
            return
        plain = frame if frame.layout.name in PLAIN else _as_mono(frame)
        kind = plain.sample_rate, plain.layout.name, plain.format.name
        if kind != self._kind:
            yield from self.frames(None)
            self._resampler = av.AudioResampler(format="fltp", layout=self.way.layout, rate=self.way.rate)
            self._kind = kind
        yield from self._resampler.resample(plain)


def _as_mono(frame: av.AudioFrame) -> av.AudioFrame:
    mono = mixed(channels_first(frame), channel_names(frame.layout))
    result = av.AudioFrame.from_ndarray(mono[None], format="fltp", layout="mono")
    result.sample_rate, result.pts, result.time_base = frame.sample_rate, frame.pts, frame.time_base
    return result
