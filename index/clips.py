"""What encoders read of a clip: its image, and the waveform kept beside the shards. Damage is told, not skipped."""

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from manifests.errors import InputError
from pipeline.shards.codecs import open_image
from pipeline.shards.record import FRAME

if TYPE_CHECKING:
    from pipeline.shards.store import ShardStore


def image(store: "ShardStore", row: int, at_least: int | None = None) -> Image.Image:
    """The stored frame, RGB. `at_least`: no side needs more pixels than this, so the JPEG may be decoded smaller."""

    def decode(content: bytes) -> Image.Image:
        frame = open_image(content)
        if at_least is not None:
            frame.draft("RGB", (at_least, at_least))
        return frame.convert("RGB")

    return store.decoded(row, FRAME, decode)


def waveform(store: "ShardStore", row: int, rate: int, seconds: float) -> np.ndarray:
    """Mono sound at `rate` Hz around the clip's moment, float32 (seconds * rate,) in [-1, 1]; repeated when shorter.

    InputError when the shards keep no waveform, or one at a lower rate: names the flags of `pipeline ingest`.
    """
    kept = store.companions.waveform(row)
    if kept.rate < rate:
        raise InputError(
            f"This encoder hears {rate} Hz, but the waveforms beside {store.folder} have {kept.rate} Hz. Ingest the "
            f"videos again with `--audio context --audio-rate {rate}` into a new folder."
        )
    samples, wanted = resampled(kept.samples, kept.rate, rate), round(seconds * rate)
    start = max(0, (len(samples) - wanted) // 2)
    return np.resize(samples[start : start + wanted], wanted)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """float32 (T,) at `rate` Hz -> float32 at `wanted` Hz, clipped to [-1, 1]."""
    if rate == wanted or not len(samples):
        return samples
    from scipy.signal import resample_poly

    ratio = Fraction(wanted, rate)
    return np.clip(resample_poly(samples, ratio.numerator, ratio.denominator), -1, 1).astype(np.float32)
