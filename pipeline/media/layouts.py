"""From the channels of a recording to the one that is heard: what each channel of a layout is worth.

Averaging is right for loudspeakers only. The channels of an ambisonic recording are not such: W alone hears all
directions, and what lies to the right or behind has the opposite sign in X or Y. Channels of opposite phase (a wrongly
wired microphone, a balanced line recorded as stereo) cancel as well: there the loudest channel is taken as it is.
"""

import re
import struct
from collections.abc import Sequence
from functools import partial
from typing import BinaryIO

import av
import numpy as np

_CHANNEL_WEIGHT = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0, "LFE2": 0.0}
_OTHER_CHANNEL_WEIGHT = 0.5
_HEAD_LOCKED = ("FL", "FR")  # narration and music that goes with an ambisonic recording
_CANCELLED = 0.1  # of the level that the channels would have if they had nothing in common
FEWEST_AMBISONIC = 4
SCANNED = 64 << 20  # bytes looked through at once
_SA3D = re.compile(rb"SA3D\0[\0\x80].{4}\0\0(.{4})((?:\0\0\0.)*)", re.DOTALL)
_INTEGER_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}


def channel_names(layout: av.AudioLayout) -> tuple[str, ...]:
    """One name a channel; AMBI0 is W."""
    return tuple(channel.name for channel in layout.channels)


def stream_channels(audio: av.AudioStream, content: BinaryIO) -> tuple[str, ...]:
    """The channels of a stream, by a mark of spatial audio (SA3D) where an mp4 has one: decoders of AAC overlook it.

    `content`: the opened file; it stands afterwards where it stood.
    """
    names = channel_names(audio.codec_context.layout)
    if len(names) < FEWEST_AMBISONIC or not audio.container.format.name.startswith("mov"):
        return names
    place = content.tell()
    content.seek(0)
    mark = next((found for part in iter(partial(content.read, SCANNED), b"") if (found := _SA3D.search(part))), None)
    content.seek(place)
    order = _channel_map(mark, len(names)) if mark else None
    return (
        names if order is None else tuple(f"AMBI{number}" for number in order) + _HEAD_LOCKED[: len(names) - len(order)]
    )


def _channel_map(mark: re.Match[bytes], channels: int) -> tuple[int, ...] | None:
    """Which spherical harmonic each channel is; None where the mark is not of these channels."""
    count = int.from_bytes(mark[1])
    if channels - count not in (0, len(_HEAD_LOCKED)) or len(mark[2]) < 4 * count:
        return None
    return struct.unpack_from(f">{count}I", mark[2])


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
