"""Waveform to log-spectrogram: the named, versioned front ends a shard can be made with.

Called once per clip by ingest, and again on companion waveforms by whoever needs another front end. A front end's name
is stored in the manifest, and a model trained on one refuses another. All are the field's "log power spectral density":
what scipy.signal.spectrogram computes with its defaults (as in the released LVS, EZ-VSL and SLAVC code), then a
natural logarithm over a floor; they differ in rate, hop and padding.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

TUKEY_TAPER = 0.25  # scipy.signal.spectrogram's default window
FRAMES_AT_ONCE = 64  # what is computed on the way stays in the processor's cache


@dataclass(frozen=True)
class FrontEnd:
    """`seconds` of mono sound at `sample_rate` Hz become (n_fft // 2 + 1, frames) float16.

    Windows are `n_fft` samples long, `hop` apart; `centred` ones start half a window before the sound (reflected
    there). Columns beyond `frames` are dropped. `floor` is added to the power before the logarithm.
    """

    name: str
    sample_rate: int
    hop: int
    frames: int
    centred: bool
    seconds: float = 3.0
    n_fft: int = 512
    floor: float = 1e-7

    @property
    def samples(self) -> int:
        """Length of the waveform it takes."""
        return round(self.seconds * self.sample_rate)

    @property
    def shape(self) -> tuple[int, int]:
        """Frequencies, times."""
        return self.n_fft // 2 + 1, self.frames


DEFAULT = "log-power-11025-512-110-v1"

FRONT_ENDS = {
    front_end.name: front_end
    for front_end in (
        FrontEnd(DEFAULT, sample_rate=11025, hop=110, frames=300, centred=True),
        # Parity with released checkpoints: SSLalignment's LVS-style loader, and the LVS / EZ-VSL family at 16 kHz.
        FrontEnd("log-power-16000-512-159-v1", sample_rate=16000, hop=159, frames=299, centred=False),
        FrontEnd("log-power-16000-512-238-v1", sample_rate=16000, hop=238, frames=200, centred=False),
    )
}


def spectrogram(waveform: np.ndarray, front_end: FrontEnd = FRONT_ENDS[DEFAULT]) -> np.ndarray:
    """float32 (front_end.samples,) in [-1, 1] -> float16 (257, frames), C-contiguous, ln(power density + floor).

    Raises ValueError for a waveform of another length: a wrong rate must not become a wrong spectrogram.
    """
    from scipy.fft import rfft

    if waveform.shape != (front_end.samples,):
        raise ValueError(f"{front_end.name} takes {front_end.samples} samples, got an array of shape {waveform.shape}")
    segments = _segments(np.asarray(waveform, np.float32), front_end)
    rows = np.empty(front_end.shape[::-1], np.float32)
    for start in range(0, front_end.frames, FRAMES_AT_ONCE):
        some = segments[start : start + FRAMES_AT_ONCE]
        some = some - some.mean(axis=1, keepdims=True)
        some *= _window(front_end.n_fft)
        spectrum = rfft(some, axis=1, overwrite_x=True)
        power = spectrum.real**2 + spectrum.imag**2
        power *= _density_scale(front_end)
        power += np.float32(front_end.floor)
        np.log(power, out=rows[start : start + FRAMES_AT_ONCE])
    return np.ascontiguousarray(rows.astype(np.float16).T)


def _segments(waveform: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """(frames, n_fft) view of the overlapping windows."""
    if front_end.centred:
        half = front_end.n_fft // 2
        waveform = np.concatenate((waveform[half:0:-1], waveform, waveform[-2 : -half - 2 : -1]))
    windows = np.lib.stride_tricks.sliding_window_view(waveform, front_end.n_fft)
    return windows[:: front_end.hop][: front_end.frames]


@cache
def _window(n_fft: int) -> np.ndarray:
    """Periodic Tukey window: flat, with a raised cosine over TUKEY_TAPER / 2 of the length at either end."""
    distance = np.minimum(np.arange(n_fft), n_fft - np.arange(n_fft)) / (TUKEY_TAPER * n_fft / 2)
    return (0.5 - 0.5 * np.cos(np.pi * np.minimum(distance, 1.0))).astype(np.float32)


@cache
def _density_scale(front_end: FrontEnd) -> np.ndarray:
    """One-sided power spectral density per bin: 2 / (rate * window energy), once for DC and Nyquist."""
    energy = float(np.sum(_window(front_end.n_fft).astype(np.float64) ** 2))
    scale = np.full(front_end.shape[0], 2.0 / (front_end.sample_rate * energy))
    scale[[0, -1]] /= 2.0
    return scale.astype(np.float32)
