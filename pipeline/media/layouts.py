"""From the channels of a recording to the one that is heard: what each channel of a layout is worth.

Averaging is right for loudspeakers only. The channels of an ambisonic recording are not such: W alone hears all
directions, and what lies to the right or behind has the opposite sign in X or Y. Channels of opposite phase (a wrongly
wired microphone, a balanced line recorded as stereo) cancel as well: there the loudest channel is taken as it is, and
so it is where several channels have no names and some oppose others, as in an ambisonic recording without its mark.
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
WAVE_HEADER = 256  # bytes of a wave file that say what its samples are
_OPPOSED = -0.3  # correlation of two channels that no loudspeakers have
UNNAMED = "NONE"
_B_FORMAT = bytes.fromhex(
    "21 07 D3 11 86 44 C8 C1 CA 00 00 00"
)  # a wave file's: channels W, X, Y, Z of Furse and Malham
_SA3D = re.compile(rb"SA3D\0[\0\x80].{4}\0\0(.{4})((?:\0\0\0.)*)", re.DOTALL)
_MOST_COMPARED = 1 << 28  # products of samples; more channels at higher rates are compared on a part of them
_MISCOUNTED = 8  # of so many planes PyAV reads one that is not there
_SAMPLE = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
_UNREAD = "s64"  # which PyAV makes no array of
_INTEGER_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}


def channel_names(layout: av.AudioLayout) -> tuple[str, ...]:
    """One name a channel; AMBI0 is W."""
    return tuple(channel.name for channel in layout.channels)


def stream_channels(audio: av.AudioStream, content: BinaryIO) -> tuple[str, ...]:
    """The channels of a stream, by a mark of spatial audio where there is one that decoders overlook: SA3D in an mp4,
    B-format in a wave file.

    `content`: the opened file; it stands afterwards where it stood.
    """
    names, kind = channel_names(audio.codec_context.layout), audio.container.format.name
    place = content.tell()
    content.seek(0)
    if kind == "wav" and _B_FORMAT in content.read(WAVE_HEADER):
        names = tuple(f"AMBI{number}" for number in range(len(names)))
    mark = None
    if kind.startswith("mov") and len(names) >= FEWEST_AMBISONIC:
        mark = next(
            (found for part in iter(partial(content.read, SCANNED), b"") if (found := _SA3D.search(part))), None
        )
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
    if len(channels) == 1 or not power.any():
        return mix
    if float(np.sum(mix.astype(np.float64) ** 2)) <= _CANCELLED**2 * apart or _oppose(samples, channels, power):
        counted = np.where(weights > 0, power, 0.0)  # of low frequencies only where there is nothing else
        return np.ascontiguousarray(samples[int((counted if counted.any() else power).argmax())])
    return mix


def _oppose(samples: np.ndarray, channels: Sequence[str], power: np.ndarray) -> bool:
    """Whether some of several channels without names are so unlike that they are no loudspeakers."""
    if len(channels) < FEWEST_AMBISONIC or set(channels) != {UNNAMED}:
        return False
    step = -(-len(channels) * samples.size // _MOST_COMPARED)
    if step > 1:
        samples = np.ascontiguousarray(samples[:, ::step])
        power = np.einsum("cn,cn->c", samples, samples, dtype=np.float64)
    alike = np.einsum("cn,dn->cd", samples, samples, dtype=np.float64)
    level = np.sqrt(np.maximum(power, np.finfo(np.float64).tiny))
    return bool((alike / np.outer(level, level)).min() < _OPPOSED)


def channels_first(frame: av.AudioFrame) -> np.ndarray:
    """float32 (channels, samples), full scale 1, of a frame of any layout and sample type."""
    channels, planar = frame.layout.nb_channels, frame.format.is_planar
    name = frame.format.name.removesuffix("p")
    if name == _UNREAD or (planar and channels >= _MISCOUNTED):
        count, length = (channels, frame.samples) if planar else (1, channels * frame.samples)
        planes = (bytes(frame.planes[place]) for place in range(count))
        samples = np.stack([np.frombuffer(plane, _SAMPLE[name], length) for plane in planes])
    else:
        samples = frame.to_ndarray()
    if samples.shape[0] != channels:  # interleaved frames come as one row
        samples = samples.reshape(-1, channels).T
    kind = samples.dtype.str[1:]
    if scale := _INTEGER_SCALE.get(kind):
        return (samples.astype(np.float32) - (scale if kind == "u1" else 0.0)) / np.float32(scale)
    return samples.astype(np.float32, copy=False)
