"""What every front end promises: waveform in, spectrogram out, and what training must know of its values."""

import inspect
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from manifests.errors import InputError


@dataclass(frozen=True, kw_only=True)
class FrontEnd(ABC):
    """`seconds` of mono sound at `sample_rate` Hz become float16 `shape`, its columns `hop` samples apart."""

    name: str
    sample_rate: int
    hop: int
    seconds: float = 3.0

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Frequencies, times."""

    @property
    @abstractmethod
    def silence(self) -> float:
        """The value of digital silence: what masks write over the sound."""

    @property
    @abstractmethod
    def scaling(self) -> tuple[float, float]:
        """What its authors subtract and then divide by (`data.audio_mean`, `data.audio_deviation`)."""

    @abstractmethod
    def rows_of(self, hertz: np.ndarray) -> np.ndarray:
        """Where frequencies lie on the first axis, in rows from 0 to shape[0] at half the rate."""

    @abstractmethod
    def compute(self, waveform: np.ndarray) -> np.ndarray:
        """float32 (samples,) in [-1, 1] -> (times, frequencies)."""

    @property
    def samples(self) -> int:
        """Length of the waveform it takes."""
        return round(self.seconds * self.sample_rate)

    def facts(self) -> dict[str, Any]:
        """Its constants as plain values, for programs that compute the same without this one."""
        told = {"is": inspect.getdoc(type(self)), "samples": self.samples, "shape": list(self.shape)}
        return {**asdict(self), **told, "silence": self.silence}

    def spectrogram(self, waveform: np.ndarray) -> np.ndarray:
        """float32 (samples,) in [-1, 1] -> float16 `shape`, C-contiguous.

        Raises ValueError for a waveform of another length: a wrong rate must not become a wrong spectrogram.
        """
        if waveform.shape != (self.samples,):
            raise ValueError(f"{self.name} takes {self.samples} samples, got an array of shape {waveform.shape}")
        return np.ascontiguousarray(self.compute(np.asarray(waveform, np.float32)).astype(np.float16).T)

    def power(self, waveform: np.ndarray) -> np.ndarray:
        """As `spectrogram`, without the logarithm. InputError where that is not all it does to the power."""
        raise InputError(f"The front end {self.name} is not the logarithm of a power, so it has none without it.")


def windows(waveform: np.ndarray, size: int, hop: int, centred: bool) -> np.ndarray:
    """(times, size) view of overlapping windows; centred ones start half a window before the sound, reflected there."""
    if centred:
        half = size // 2
        waveform = np.concatenate((waveform[half:0:-1], waveform, waveform[-2 : -half - 2 : -1]))
    return np.lib.stride_tricks.sliding_window_view(waveform, size)[::hop]
