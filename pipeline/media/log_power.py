"""The field's "log power spectral density", the family of most front ends.

What scipy.signal.spectrogram computes with its defaults (as in the released LVS, EZ-VSL and SLAVC code), then a natural
logarithm over a floor; its members differ in rate, hop, span and padding.
"""

from dataclasses import dataclass
from functools import cache
from math import log
from typing import Any

import numpy as np

from pipeline.media.spectra import FrontEnd, windows

TUKEY_TAPER = 0.25  # scipy.signal.spectrogram's default window
FRAMES_AT_ONCE = 64  # what is computed on the way stays in the processor's cache


@dataclass(frozen=True, kw_only=True)
class LogPower(FrontEnd):
    """(n_fft // 2 + 1, frames) of ln(power density + floor).

    Windows are `n_fft` samples long; `centred` ones start half a window before the sound (reflected there). Columns
    beyond `frames` are dropped.
    """

    frames: int
    centred: bool
    n_fft: int = 512
    floor: float = 1e-7

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_fft // 2 + 1, self.frames

    @property
    def silence(self) -> float:
        return log(self.floor)

    @property
    def scaling(self) -> tuple[float, float]:
        return 0.0, 12.0  # the LVS family's

    def rows_of(self, hertz: np.ndarray) -> np.ndarray:
        return hertz / (self.sample_rate / 2) * self.shape[0]

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "window": "periodic Tukey", "taper": TUKEY_TAPER}

    def power(self, waveform: np.ndarray) -> np.ndarray:
        logarithms = self.compute(np.asarray(waveform, np.float32)).astype(np.float64)
        return np.ascontiguousarray(np.maximum(np.exp(logarithms) - self.floor, 0).astype(np.float16).T)

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        from scipy.fft import rfft

        segments = windows(waveform, self.n_fft, self.hop, self.centred)[: self.frames]
        rows = np.empty(self.shape[::-1], np.float32)
        for start in range(0, self.frames, FRAMES_AT_ONCE):
            some = segments[start : start + FRAMES_AT_ONCE]
            some = some - some.mean(axis=1, keepdims=True)
            some *= _window(self.n_fft)
            spectrum = rfft(some, axis=1, overwrite_x=True)
            power = spectrum.real**2 + spectrum.imag**2
            power *= _density_scale(self)
            power += np.float32(self.floor)
            np.log(power, out=rows[start : start + FRAMES_AT_ONCE])
        return rows


@cache
def _window(n_fft: int) -> np.ndarray:
    """Periodic Tukey window: flat, with a raised cosine over TUKEY_TAPER / 2 of the length at either end."""
    distance = np.minimum(np.arange(n_fft), n_fft - np.arange(n_fft)) / (TUKEY_TAPER * n_fft / 2)
    return (0.5 - 0.5 * np.cos(np.pi * np.minimum(distance, 1.0))).astype(np.float32)


@cache
def _density_scale(front_end: LogPower) -> np.ndarray:
    """One-sided power spectral density per bin: 2 / (rate * window energy), once for DC and Nyquist."""
    energy = float(np.sum(_window(front_end.n_fft).astype(np.float64) ** 2))
    scale = np.full(front_end.shape[0], 2.0 / (front_end.sample_rate * energy))
    scale[[0, -1]] /= 2.0
    return scale.astype(np.float32)
