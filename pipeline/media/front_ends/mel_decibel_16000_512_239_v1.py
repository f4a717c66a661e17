"""SSL-TIE's code: ten seconds at 16 kHz, torchaudio's mel spectrogram of 257 bands, in decibels, 257 x 670.

`MelSpectrogram(n_fft=512, hop_length=239, n_mels=257, normalized=True)`, then `AmplitudeToDB()`: Hann windows around
their column's time (the ends reflected), power over the window's energy, triangles between HTK mels, 10 log10 over a
floor of 1e-10. There are as many bands as bins, so many of the lowest triangles hold no bin and stay at -100 dB. The
network gets decibels as they are.

Deviation: training files there are cut to three seconds and repeated to ten; these are ten seconds around the moment,
repeated only where the clip is shorter.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pipeline.media.mel import hertz_of, mel
from pipeline.media.spectra import FrontEnd, windows

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, kw_only=True)
class MelDecibel(FrontEnd):
    """(bands, 1 + samples // hop) decibels of mel power."""

    n_fft: int
    bands: int
    floor: float = 1e-10

    @property
    def shape(self) -> tuple[int, int]:
        return self.bands, 1 + self.samples // self.hop

    @property
    def silence(self) -> float:
        return float(10 * np.log10(self.floor))

    @property
    def scaling(self) -> tuple[float, float]:
        return 0.0, 1.0

    def rows_of(self, hertz: np.ndarray) -> np.ndarray:
        return mel(hertz) / mel(self.sample_rate / 2) * self.bands

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        from scipy.fft import rfft

        window = _hann(self.n_fft)
        spectrum = rfft(windows(waveform, self.n_fft, self.hop, centred=True) * window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) / np.sum(window**2)
        return 10 * np.log10(np.maximum(_triangles(self) @ power.T, np.float32(self.floor))).T


@cache
def _hann(size: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


@cache
def _triangles(front_end: MelDecibel) -> "csr_array":
    """(bands, bins), mostly zeros: each band rises from its lower neighbour's centre to its own, falls to the next."""
    from scipy.sparse import csr_array

    nyquist = front_end.sample_rate / 2
    bins = np.linspace(0, nyquist, front_end.n_fft // 2 + 1)[:, None]
    edges = hertz_of(np.linspace(0, mel(nyquist), front_end.bands + 2))
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre))
    return csr_array(np.maximum(weights, 0).T.astype(np.float32))


FRONT_END = MelDecibel(
    name="mel-decibel-16000-512-239-v1", sample_rate=16000, hop=239, seconds=10.0, n_fft=512, bands=257
)
