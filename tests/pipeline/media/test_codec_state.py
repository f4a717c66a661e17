"""Sound of codecs that carry their state through the whole file is that of a full decode, wherever a span lies."""

from pathlib import Path

import av
import numpy as np
import pytest
import stills
from decoded import DECODERS
from numbered_clips import ClipFactory, numbered_frames

from pipeline.media.decode import DecodeOptions
from pipeline.media.one_pass import OnePass
from pipeline.media.still import decode_pair

RATE, SECONDS, MOMENT = 44100, 6, 4.5
CODECS = ("adpcm_yamaha", "dfpwm")


def _noise() -> np.ndarray:
    """Slow enough for an adaptive step to follow: noise below 1 kHz."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(RATE * SECONDS))
    spectrum[SECONDS * 1000 :] = 0
    samples = np.fft.irfft(spectrum, RATE * SECONDS)
    return (0.6 * samples / np.abs(samples).max()).astype(np.float32)


@pytest.fixture(scope="module", params=CODECS)
def video(request: pytest.FixtureRequest, clips: ClipFactory) -> Path:
    frames = numbered_frames(25 * SECONDS)
    source = clips.once(f"noise{SECONDS}.mp4", seconds=SECONDS, frames=frames, waveform=_noise())
    return clips.remux(source, f"{request.param}.mkv", **{"c:v": "copy", "c:a": request.param})


def _whole(path: Path) -> np.ndarray:
    """All samples, decoded by nothing of ours."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.concatenate(frames, axis=1)[0]
    return (samples - 128.0) / 128 if samples.dtype == np.uint8 else samples / 2.0**15


def _astray(found: np.ndarray, whole: np.ndarray, begin: float) -> float:
    """The error in parts of the loudness, at the best place within the millisecond of Matroska's clock. A predictor
    that began anew leaves the mean astray."""
    places = range(round(begin * RATE) - 48, round(begin * RATE) + 49)
    expected = [whole[place : place + 4 * len(found) - 400 : 4] for place in places]
    return min(float(((found[: len(each)] - each) ** 2).mean() ** 0.5) for each in expected) / float(whole.std())


@DECODERS
def test_of_a_video(decode, video: Path) -> None:
    found = decode(video, DecodeOptions(moment=MOMENT)).waveform
    assert _astray(found, _whole(video), MOMENT - 1.5) < 0.1


def test_of_an_image_and_a_sound(clips: ClipFactory) -> None:
    source = clips.once(f"noise{SECONDS}.mp4", seconds=SECONDS, frames=numbered_frames(150), waveform=_noise())
    sound = clips.remux(source, "yamaha.wav", **{"c:a": "adpcm_yamaha", "vn": None})
    found = decode_pair(stills.image(), sound, DecodeOptions(moment=MOMENT)).waveform
    assert _astray(found, _whole(sound), MOMENT - 1.5) < 0.1


def test_of_moments_in_one_pass(video: Path) -> None:
    with OnePass(video) as media:
        spans = list(media.audio_spans([0.0, 4.0], 11025, 11025))
    assert _astray(spans[1].samples, _whole(video), 4.0) < 0.1
