"""Front ends against plain loops, scipy, torchaudio and the published levels; and one added as a file of its own."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from places import ROOT, SUPPORT

from manifests.errors import InputError
from pipeline.media.front_ends import DEFAULT, find_front_end, front_end_names
from pipeline.media.log_power import LogPower
from pipeline.media.spectra import FrontEnd
from pipeline.shards.store import ShardStore

FIRST = "log-power-11025-512-110-v1", "log-power-16000-512-159-v1", "log-power-16000-512-238-v1"
LONG, MEL = "log-power-16000-512-238-10s-v1", "mel-decibel-16000-512-239-v1"
LOG_MEL = "log-mel-16000-400-160-v1"
LOG_POWER = (*FIRST, LONG)
SHAPES = dict(
    zip(
        (*LOG_POWER, MEL, LOG_MEL), [(257, 300), (257, 299), (257, 200), (257, 671), (257, 670), (64, 298)], strict=True
    )
)
# Of what these front ends made of `_dyadic` at commit 7ba611c, before they were files of their own.
FIRST_SHA256 = {
    FIRST[0]: "a15a3b242d4bc2c684a73d16a7b4df87c2de10e09bf6fde71ba35a3145caa782",
    FIRST[1]: "86152dd688ebad517da5172cfdeba5a2a2c072ae3bdf18f2802d94c3863eec15",
    FIRST[2]: "667d4ad97005a8790414b9a9fd0d35a52e76972a574cc6a97e3e61a57aaf9eb9",
}


def _audio(front_end: FrontEnd, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    times = np.arange(front_end.samples) / front_end.sample_rate
    chirp = 0.6 * np.sin(2 * np.pi * (300 + 400 * times) * times)
    return (chirp * (times > 0.7) + 0.01 * rng.standard_normal(front_end.samples)).clip(-1, 1).astype(np.float32)


def _dyadic(samples: int) -> np.ndarray:
    """Noise that fades to silence, in whole steps of 2^-15: the same everywhere."""
    steps = np.random.default_rng(7).integers(-(2**15), 2**15, samples)
    return (steps >> (16 * np.arange(samples) // samples)).astype(np.float32) / 2**15


def _reference(waveform: np.ndarray, front_end: LogPower) -> np.ndarray:
    """The definition, one column and one window at a time, in double precision."""
    size = front_end.n_fft
    audio = waveform.astype(np.float64)
    if front_end.centred:
        audio = np.pad(audio, size // 2, mode="reflect")
    window = scipy.signal.get_window(("tukey", 0.25), size)
    columns = []
    for column in range(front_end.frames):
        segment = audio[column * front_end.hop : column * front_end.hop + size]
        power = np.abs(np.fft.rfft((segment - segment.mean()) * window)) ** 2
        power /= front_end.sample_rate * np.sum(window**2)
        power[1:-1] *= 2
        columns.append(np.log(power + front_end.floor))
    return np.stack(columns, axis=1)


def log_power(name: str) -> LogPower:
    front_end = find_front_end(name)
    assert isinstance(front_end, LogPower)
    return front_end


def test_names_are_those_of_the_files_and_the_default_comes_first() -> None:
    assert set(front_end_names()) == set(SHAPES)
    assert front_end_names()[0] == DEFAULT == find_front_end().name
    assert [find_front_end(name).name for name in front_end_names()] == front_end_names()
    with pytest.raises(InputError, match=rf"'mfcc' is not known\. There are: {DEFAULT}, "):
        find_front_end("mfcc")


@pytest.mark.parametrize("name", FIRST)
def test_stored_front_ends_give_the_bytes_they_gave(name: str) -> None:
    front_end = find_front_end(name)
    made = front_end.spectrogram(_dyadic(front_end.samples))
    assert hashlib.sha256(made.tobytes()).hexdigest() == FIRST_SHA256[name]


@pytest.mark.parametrize("name", LOG_POWER)
def test_equals_the_definition(name: str) -> None:
    front_end = log_power(name)
    waveform = _audio(front_end)
    expected = _reference(waveform, front_end)
    # float16 near 16 has steps of 2**-7: rounding is off by half a step, seldom by one and a half
    assert np.abs(front_end.spectrogram(waveform) - expected.astype(np.float16)).max() <= 2**-6
    assert np.abs(front_end.spectrogram(waveform).astype(np.float64) - expected).mean() < 6e-3


@pytest.mark.parametrize("name", LOG_POWER)
def test_before_rounding_float32_is_enough(name: str) -> None:
    front_end = log_power(name)
    waveform = _audio(front_end, seed=1)
    assert np.abs(front_end.compute(waveform).T - _reference(waveform, front_end)).max() < 1e-3


@pytest.mark.parametrize("name", LOG_POWER)
def test_equals_scipy(name: str) -> None:
    front_end = log_power(name)
    waveform = _audio(front_end, seed=2)
    padded = np.pad(waveform, front_end.n_fft // 2, mode="reflect") if front_end.centred else waveform
    overlap = front_end.n_fft - front_end.hop
    power = scipy.signal.spectrogram(padded.astype(float), front_end.sample_rate, nperseg=512, noverlap=overlap)[2]
    expected = np.log(power + 1e-7)[:, : front_end.frames]
    assert np.abs(front_end.spectrogram(waveform).astype(float) - expected).max() < 1e-2


def test_mel_decibels_equal_torchaudio() -> None:
    """SSL-TIE's transforms; loud, quiet and silent parts."""
    import torch
    from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

    front_end = find_front_end(MEL)
    waveform = _audio(front_end, seed=3) * np.linspace(0, 1, front_end.samples, dtype=np.float32) ** 4
    waveform[:20_000] = 0
    with pytest.warns(UserWarning, match="all zero values"):  # of mel bands too narrow for any bin
        mel = MelSpectrogram(16000, n_fft=512, hop_length=239, n_mels=257, normalized=True)
    expected = AmplitudeToDB()(mel(torch.from_numpy(waveform))).numpy()
    made = front_end.compute(waveform).T
    assert made.shape == expected.shape == front_end.shape
    loud = expected > -75  # where float32 has digits left; the quiet part's leakage is rounding of either
    assert loud.mean() > 0.25
    assert np.abs(made - expected)[loud].max() < 0.01
    assert np.abs(made - expected).max() < 1.5
    assert (expected[:, :70] == -100).all()
    np.testing.assert_allclose(made[:, :70], -100, atol=1e-4)


def test_log_mel_bands_are_those_of_their_description() -> None:
    """One column and one band at a time, in double precision: triangles straight in mel, without the DC bin."""
    front_end = find_front_end(LOG_MEL)
    audio = _audio(front_end).astype(np.float64)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    bins, edges = (1127 * np.log(1 + hertz / 700) for hertz in (np.arange(257) * 31.25, np.array([125.0, 7500.0])))
    corners = np.linspace(*edges, 66)
    made = front_end.spectrogram(audio.astype(np.float32)).astype(float)
    for column in (0, 70, 297):
        magnitude = np.abs(np.fft.rfft(audio[160 * column : 160 * column + 400] * hann, 512))
        for band in range(64):
            low, centre, high = corners[band : band + 3]
            weights = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clip(min=0)
            expected = np.log(weights[1:] @ magnitude[1:] + 0.001)
            assert made[band, column] == pytest.approx(expected, abs=6e-3)


@pytest.mark.parametrize("name", SHAPES)
def test_shape_and_storage(name: str) -> None:
    front_end = find_front_end(name)
    result = front_end.spectrogram(_audio(front_end))
    assert result.shape == SHAPES[name] == front_end.shape
    assert result.dtype == np.float16
    assert result.flags.c_contiguous


@pytest.mark.parametrize("name", SHAPES)
def test_silence_is_one_value_everywhere(name: str) -> None:
    front_end = find_front_end(name)
    silence = front_end.spectrogram(np.zeros(front_end.samples, np.float32))
    assert np.unique(silence).tolist() == [np.float16(front_end.silence)]


@pytest.mark.parametrize("name", SHAPES)
def test_rows_are_where_a_tone_is(name: str) -> None:
    front_end = find_front_end(name)
    for hertz in (440.0, 3000.0, 5200.0):
        times = np.arange(front_end.samples) / front_end.sample_rate
        tone = np.sin(2 * np.pi * hertz * times).astype(np.float32)
        loudest = front_end.spectrogram(tone)[:, front_end.shape[1] // 2].argmax()
        assert abs(loudest - front_end.rows_of(np.array(hertz))) < 3
    assert front_end.rows_of(np.array(front_end.sample_rate / 2)) == front_end.shape[0]


def test_every_window_fits_without_padding() -> None:
    """Columns of uncentred front ends are all there is: floor((samples - n_fft) / hop) + 1."""
    for front_end in map(log_power, LOG_POWER):
        padding = front_end.n_fft if front_end.centred else 0
        windows = (front_end.samples + padding - front_end.n_fft) // front_end.hop + 1
        assert windows - front_end.frames == (1 if front_end.centred else 0)


def test_uniform_noise_has_the_published_level() -> None:
    """Methods sheet 0.2: at 16 kHz, divided by 12, mean about -0.888 and deviation 0.105; silence -1.34317."""
    front_end = find_front_end("log-power-16000-512-159-v1")
    noise = np.random.default_rng(0).uniform(-1, 1, front_end.samples).astype(np.float32)
    mean, deviation = front_end.scaling
    scaled = (front_end.spectrogram(noise).astype(float) - mean) / deviation
    assert scaled.mean() == pytest.approx(-0.888, abs=2e-3)
    assert scaled.std() == pytest.approx(0.105, abs=5e-3)
    assert front_end.silence / deviation == pytest.approx(-1.34317, abs=1e-5)


def test_a_waveform_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="33075 samples"):
        find_front_end().spectrogram(np.zeros(48000, np.float32))


# --- through ingest ---------------------------------------------------------------------------------------------------

ADDED = '''
"""Loudness of eight octaves in steps of a tenth of a second, of seven seconds."""

from dataclasses import dataclass

import numpy as np

from pipeline.media.spectra import FrontEnd


@dataclass(frozen=True, kw_only=True)
class Octaves(FrontEnd):
    shape = (8, 70)
    silence = 0.0
    scaling = (1.0, 2.0)

    def rows_of(self, hertz: np.ndarray) -> np.ndarray:
        return 8 + np.log2(np.maximum(hertz, 1e-6) / (self.sample_rate / 2))

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        spectrum = np.abs(np.fft.rfft(waveform.reshape(70, self.hop), axis=1))
        edges = self.hop // 2 // 2 ** np.arange(8, -1, -1)
        return np.stack([spectrum[:, a : b + 1].sum(axis=1) for a, b in zip(edges, edges[1:])], axis=1)


FRONT_END = Octaves(name="octaves-8000-v1", sample_rate=8000, hop=800, seconds=7.0)
'''


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages, and one more file."""
    house = tmp_path_factory.mktemp("house")
    for package in ("manifests", "pipeline"):
        shutil.copytree(ROOT / package, house / package, ignore=shutil.ignore_patterns("__pycache__"))
    (house / "pipeline" / "media" / "front_ends" / "octaves_8000_v1.py").write_text(ADDED)
    return house


@pytest.fixture(scope="module")
def ingest(clips, clip_maker, extended: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ShardStore]:
    """Ingest a clip of twelve seconds with a beep at 9.5 s, from the extended packages."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "videos").mkdir()
    shutil.copy(clips.plain("beep.mp4", seconds=12.0, waveform=clip_maker.burst(12.0, 9.5)), folder / "videos")
    environment = os.environ | {"PYTHONPATH": f"{extended}:{SUPPORT}"}
    code = "from ingest_here import ingest_here; from pipeline.cli import main\nwith ingest_here():\n    main()"

    def run(name: str, *options: str) -> ShardStore:
        out = folder / "-".join((name, *options))
        command = [sys.executable, "-c", code, "ingest", "--src", folder / "videos",
                   "--out", out, "--workers", "1", "--front-end", name, "--moment", "6", *options]  # fmt: skip
        subprocess.run([*map(str, command)], check=True, env=environment, cwd=folder, capture_output=True, timeout=120)
        return ShardStore.open(out)

    return run


def beep_seconds(values: np.ndarray, seconds: float) -> float:
    """When the loudest column comes, from the span's start."""
    return float(values.astype(float).sum(axis=0).argmax() / values.shape[1] * seconds)


def test_a_new_front_end_is_one_file(ingest: Callable[..., ShardStore], extended: Path) -> None:
    store = ingest("octaves-8000-v1")
    assert (store.front_end, store.facts(0)["front_end"]) == ("octaves-8000-v1", "octaves-8000-v1")
    assert store.spectrogram(0).shape == (8, 70)
    assert beep_seconds(store.spectrogram(0), 7.0) == pytest.approx(9.5 - 2.5, abs=0.2)
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "ingest", "--help"]
    environment = os.environ | {"PYTHONPATH": str(extended), "COLUMNS": "300"}
    shown = subprocess.run(
        command, cwd=extended, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    unwrapped = "".join(shown.stdout.replace("│", "").split())
    assert all(name in unwrapped for name in ("octaves-8000-v1", *front_end_names()))


@pytest.mark.slow
@pytest.mark.parametrize("name", [LONG, MEL])
@pytest.mark.parametrize("decoder", ["pyav", "ffmpeg"])
def test_ten_seconds_are_heard_whole(ingest: Callable[..., ShardStore], name: str, decoder: str) -> None:
    """From 1 s to 11 s around the moment at 6 s: the beep at 9.5 s comes 8.5 s in, and nothing is filled."""
    store = ingest(name, "--decoder", decoder)
    assert store.spectrogram(0).shape == SHAPES[name]
    assert beep_seconds(store.spectrogram(0), 10.0) == pytest.approx(8.52, abs=0.06)
    assert store.facts(0)["flags"] == []
