"""Spectrograms against two references: plain numpy in float64, and scipy.signal.spectrogram."""

import numpy as np
import pytest
import scipy.signal

from pipeline.media.front_ends import DEFAULT, FRONT_ENDS, FrontEnd, spectrogram


def _audio(front_end: FrontEnd, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    times = np.arange(front_end.samples) / front_end.sample_rate
    chirp = 0.6 * np.sin(2 * np.pi * (300 + 400 * times) * times)
    return (chirp * (times > 0.7) + 0.01 * rng.standard_normal(front_end.samples)).clip(-1, 1).astype(np.float32)


def _reference(waveform: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Definition, one window after the other, in float64."""
    size = front_end.n_fft
    audio = waveform.astype(np.float64)
    if front_end.centred:
        audio = np.concatenate([audio[size // 2 : 0 : -1], audio, audio[-2 : -size // 2 - 2 : -1]])
    window = np.ones(size + 1)
    taper = size // 8
    window[:taper] = window[: size - taper : -1] = 0.5 * (1 - np.cos(np.pi * np.arange(taper) / taper))
    window = window[:size]
    columns = []
    for column in range(front_end.frames):
        segment = audio[column * front_end.hop : column * front_end.hop + size]
        power = np.abs(np.fft.rfft((segment - segment.mean()) * window)) ** 2
        power /= front_end.sample_rate * np.sum(window**2)
        power[1:-1] *= 2
        columns.append(np.log(power + front_end.floor))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_equals_the_definition_in_float64(name: str) -> None:
    front_end = FRONT_ENDS[name]
    waveform = _audio(front_end)
    expected = _reference(waveform, front_end)
    # float16 steps by 2^-6 beyond 16; the next test looks behind that rounding
    assert np.abs(spectrogram(waveform, front_end) - expected.astype(np.float16)).max() <= 2**-6
    assert np.abs(spectrogram(waveform, front_end).astype(np.float64) - expected).mean() < 6e-3


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_before_rounding_the_error_is_below_a_thousandth(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    front_end = FRONT_ENDS[name]
    waveform = _audio(front_end, seed=1)
    monkeypatch.setattr(np, "float16", np.float32)
    assert np.abs(spectrogram(waveform, front_end) - _reference(waveform, front_end)).max() < 1e-3


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_equals_scipy_with_its_defaults(name: str) -> None:
    front_end = FRONT_ENDS[name]
    waveform = _audio(front_end, seed=2)
    padded = np.pad(waveform, front_end.n_fft // 2, mode="reflect") if front_end.centred else waveform
    overlap = front_end.n_fft - front_end.hop
    power = scipy.signal.spectrogram(padded.astype(float), front_end.sample_rate, nperseg=512, noverlap=overlap)[2]
    expected = np.log(power + 1e-7)[:, : front_end.frames]
    assert np.abs(spectrogram(waveform, front_end).astype(float) - expected).max() < 1e-2


@pytest.mark.parametrize(("name", "shape"), list(zip(FRONT_ENDS, [(257, 300), (257, 299), (257, 200)], strict=True)))
def test_shape_and_storage(name: str, shape: tuple[int, int]) -> None:
    result = spectrogram(_audio(FRONT_ENDS[name]), FRONT_ENDS[name])
    assert result.shape == shape == FRONT_ENDS[name].shape
    assert result.dtype == np.float16
    assert result.flags.c_contiguous


def test_every_window_fits_without_padding() -> None:
    """Columns of uncentred front ends are all there is: floor((samples - n_fft) / hop) + 1."""
    for front_end in FRONT_ENDS.values():
        padding = front_end.n_fft if front_end.centred else 0
        windows = (front_end.samples + padding - front_end.n_fft) // front_end.hop + 1
        assert windows - front_end.frames == (1 if front_end.centred else 0)


def test_silence_is_the_floor_everywhere() -> None:
    silence = spectrogram(np.zeros(33075, np.float32), FRONT_ENDS[DEFAULT])
    assert np.unique(silence).tolist() == [np.float16(np.log(1e-7))]


def test_uniform_noise_has_the_published_level() -> None:
    """Methods sheet 0.2: at 16 kHz, divided by 12, mean about -0.888 and deviation 0.105."""
    front_end = FRONT_ENDS["log-power-16000-512-159-v1"]
    noise = np.random.default_rng(0).uniform(-1, 1, front_end.samples).astype(np.float32)
    scaled = spectrogram(noise, front_end).astype(float) / 12
    assert scaled.mean() == pytest.approx(-0.888, abs=2e-3)
    assert scaled.std() == pytest.approx(0.105, abs=5e-3)


def test_a_waveform_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="33075 samples"):
        spectrogram(np.zeros(48000, np.float32))
