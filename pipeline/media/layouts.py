"""From the channels of a recording to the one that is heard: what each channel of a layout is worth.

Averaging is right for loudspeakers only. The channels of an ambisonic recording are not such: W alone hears all
directions, and what lies to the right or behind has the opposite sign in X or Y. Channels of opposite phase (a wrongly
wired microphone, a balanced line recorded as stereo) cancel as well: there the loudest channel is taken as it is.
"""

from collections.abc import Sequence

import av
import numpy as np

_CHANNEL_WEIGHT = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0, "LFE2": 0.0}
_OTHER_CHANNEL_WEIGHT = 0.5
_HEAD_LOCKED = ("FL", "FR")  # narration and music that goes with an ambisonic recording
_CANCELLED = 0.1  # of the level that the channels would have if they had nothing in common
_INTEGER_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}


def channel_names(layout: av.AudioLayout) -> tuple[str, ...]:
    """One name a channel; AMBI0 is W."""
    return tuple(channel.name for channel in layout.channels)


def mixing_weights(channels: Sequence[str]) -> np.ndarray:
    """float32 (channels,), sum 1: the mean of mono, stereo and unknown layouts, the usual down-mix of surround sound.

    Surround (ITU-R BS.775): centre 1, front left and right 0.707, all others 0.5, low-frequency effects left out.
    Ambisonic of any order: W, and as much of a head-locked pair where there is one.
    """
    weights = np.array([_CHANNEL_WEIGHT.get(name, _OTHER_CHANNEL_WEIGHT) for name in channels], np.float32)
    if any(name.startswith("AMBI") for name in channels):
        weights = np.array([2.0 * (name == "AMBI0") + (name in _HEAD_LOCKED) for name in channels], np.float32)
    return weights / weights.sum() if weights.any() else np.full(len(channels), 1 / len(channels), np.float32)


def mixed(samples: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """float32 (channels, n) -> float32 (n,): mixed by weight, or the loudest channel where the others cancel it."""
    weights = mixing_weights(channels)
    mix = np.einsum("c,cn->n", weights, samples)  # `@` would start BLAS threads
    power = np.einsum("cn,cn->c", samples, samples, dtype=np.float64)
    apart = float(np.sum(weights.astype(np.float64) ** 2 * power))
    if len(channels) > 1 and float(np.sum(mix.astype(np.float64) ** 2)) <= _CANCELLED**2 * apart and power.any():
        return np.ascontiguousarray(samples[int(power.argmax())])
    return mix


def channels_first(frame: av.AudioFrame) -> np.ndarray:
    """float32 (channels, samples), full scale 1, of a frame of any layout and sample type."""
    samples, channels = frame.to_ndarray(), frame.layout.nb_channels
    if samples.shape[0] != channels:  # interleaved frames come as one row
        samples = samples.reshape(-1, channels).T
    kind = samples.dtype.str[1:]
    if scale := _INTEGER_SCALE.get(kind):
        return (samples.astype(np.float32) - (scale if kind == "u1" else 0.0)) / np.float32(scale)
    return samples.astype(np.float32, copy=False)
