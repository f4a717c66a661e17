"""Log mel spectrograms of the AudioSet models (VGGish, YAMNet): magnitude in 64 bands from 125 to 7500 Hz.

Periodic Hann windows of 25 ms every 10 ms, magnitude of a Fourier transform of 512 samples, triangles that are straight
in mel (not in Hz) and leave out the DC bin, natural logarithm over an offset. The two models differ in that offset.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.media.mel import mel
from pipeline.media.spectra import FrontEnd, windows

BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0


@dataclass(frozen=True, kw_only=True)
class LogMel(FrontEnd):
    """(64, 1 + (samples - window) // hop) of ln(magnitude + offset); no window reaches beyond the sound."""

    offset: float
    window: int = 400
    n_fft: int = 512

    @property
    def shape(self) -> tuple[int, int]:
        return BANDS, 1 + (self.samples - self.window) // self.hop

    @property
    def silence(self) -> float:
        return float(np.log(self.offset))

    @property
    def scaling(self) -> tuple[float, float]:
        return 0.0, 1.0

    def rows_of(self, hertz: np.ndarray) -> np.ndarray:
        """Right to three rows, and to one from 1 kHz on. What lies outside the bands shares the rows of the lowest and
        the highest, so that every frequency has a place of its own."""
        known = mel([0, 440, HIGHEST, self.sample_rate / 2])
        return np.interp(mel(hertz), known, [0, 10.8, BANDS - 1, BANDS])

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        """float32 (n,) of any length from one window on -> (times, 64)."""
        from scipy.fft import rfft

        hann = np.hanning(self.window + 1)[:-1].astype(np.float32)
        magnitude = np.abs(rfft(windows(waveform, self.window, self.hop, centred=False) * hann, self.n_fft, axis=1))
        return np.log(magnitude @ mel_triangles(self.n_fft // 2 + 1, self.sample_rate).T + np.float32(self.offset))


@cache
def mel_triangles(bins: int, sample_rate: int) -> np.ndarray:
    """float32 (64, bins): weights of the bins in each band; zero beyond half the rate."""
    of_bins = mel(np.linspace(0, sample_rate / 2, bins))
    edges = np.linspace(mel(LOWEST), mel(HIGHEST), BANDS + 2)[:, None]
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((of_bins - lower) / (centre - lower), (upper - of_bins) / (upper - centre)).clip(min=0)
    triangles[:, 0] = 0
    return triangles.astype(np.float32)
