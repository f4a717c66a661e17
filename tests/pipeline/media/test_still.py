"""An image and a sound as a clip: three seconds, upright; what is wrong with either is its reason."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from stills import audio, image

from pipeline.media.decode import DecodeOptions
from pipeline.media.ffmpeg import file_input
from pipeline.media.still import AudioFile, decode_pair
from pipeline.shards.record import Rejected


def test_three_seconds_are_taken_whole_and_images_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    clip = decode_pair(image(64, 32, exif=exif), audio(3.0), DecodeOptions(short_side=16))
    assert clip.frame.shape == (32, 16, 3)
    assert (clip.source_width, clip.source_height) == (32, 64)
    assert (clip.moment, clip.duration) == (1.5, pytest.approx(3.0, abs=1e-3))
    assert clip.flags == ()


@pytest.mark.parametrize(
    ("image", "audio", "reason"),
    [
        (b"no image", audio(), "unreadable"),
        (image()[:200], audio(), "corrupt"),
        (image(9000, 8, format="PNG"), audio(), "too_large"),
        (image(), b"no sound", "unreadable"),
        (image(), image(), "no_audio"),
        (image(), audio(10.0)[: 44 + 100_000], "corrupt"),
        (image(), audio(0.2), "too_short"),
    ],
)
def test_verdicts(image: bytes, audio: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode_pair(image, audio)
    assert caught.value.reason == reason


def wav(samples: np.ndarray, rate: int = 16000) -> bytes:
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, samples)
    return buffer.getvalue()


TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * 16000) / 16000)


@pytest.mark.parametrize(
    ("samples", "rate", "said"),
    [
        ((TONE * 32768).astype(np.float32), 16000, "values up to 98"),
        ((TONE * 32768).astype(np.int32), 16000, "16-bit sound in them"),
        (TONE.astype(np.float32), 5, "claims 5 samples a second; none has less than 100"),
        (TONE.astype(np.float32), 10**6, "claims 1000000 samples a second; none has more than 768000"),
        (np.zeros((4000, 65), np.int16), 16000, "claims 65 channels"),
        (np.zeros((100, 1000), np.int16), 16000, "channels"),
    ],
)
def test_sound_of_another_scale_rate_or_many_channels_is_corrupt(samples: np.ndarray, rate: int, said: str) -> None:
    with pytest.raises(Rejected, match=said) as caught:
        decode_pair(image(), wav(samples, rate))
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("samples", [np.zeros(64000, np.int32), np.tile(np.array([0, 1], np.int32), 32000)])
def test_silence_of_32_bits_is_silence(samples: np.ndarray) -> None:
    assert decode_pair(image(), wav(samples)).flags == ("silent",)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_sound_beside_longer_images_was_not_cut_off(clips, suffix: str) -> None:
    image_alone, short = file_input(clips.once("longer.mp4", seconds=10.0)), file_input(clips.once("short.mp4"))
    path = clips.join(image_alone.video, short.audio, name=f"joined.{suffix}", c="copy")
    with AudioFile(path) as media:
        assert media.announced == pytest.approx(media.facts.duration, abs=0.1)
        media.check_reaches(10.0)
