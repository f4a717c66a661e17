"""Sounds that are in no clip: silence and noise, also through the very front end that made the shards' spectrograms.

An `unlogged` kind is the same sound, whose spectrogram is power and not its logarithm, as vssl_eval's loader of models
of 7 x 7 has it: beside clips' spectrograms its silence, all zeros, is a loud constant.
"""

from functools import lru_cache
from zlib import crc32

import numpy as np

from manifests.sound_draws import SILENCE, UNLOGGED
from pipeline.media.front_ends import find_front_end

LOUDNESS = 0.1  # root mean square of the noise, about that of speech in a recording of full scale 1


def made_sound(front_end: str, kind: str, name: str) -> np.ndarray:
    """float16 (F, T) of a front end by name, of the waveform of that kind and name.

    InputError for an unlogged kind of a front end that is not the logarithm of power.
    """
    if kind.startswith(SILENCE):
        return _silence(front_end, kind)
    return _spectrogram(front_end, kind, name)


def _spectrogram(front_end: str, kind: str, name: str) -> np.ndarray:
    maker = find_front_end(front_end)
    waveform = made_waveform(kind, name, maker.samples)
    return maker.power(waveform) if kind.endswith(UNLOGGED) else maker.spectrogram(waveform)


def made_waveform(kind: str, name: str, samples: int) -> np.ndarray:
    """float32 (samples,) in [-1, 1]: `silence`, all zeros, or `noise`, Gaussian and of `name` alone."""
    if kind.startswith(SILENCE):
        return np.zeros(samples, np.float32)
    waveform = np.random.default_rng(crc32(name.removesuffix(UNLOGGED).encode())).normal(0, LOUDNESS, samples)
    return np.clip(waveform, -1, 1).astype(np.float32)


@lru_cache(4)
def _silence(front_end: str, kind: str) -> np.ndarray:
    return _spectrogram(front_end, kind, "")
