"""What decoding says and shows: verdicts, and the frames of a full decode."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.image import SCALING
from pipeline.shards.record import Rejected

DECODERS = pytest.mark.parametrize("decode", [decode_clip, decode_clip_ffmpeg])


def verdict(decode, content: bytes | Path, options: DecodeOptions = DecodeOptions()) -> str:
    """Why a decoder rejects what it is given; it must."""
    with pytest.raises(Rejected) as rejected:
        decode(content, options)
    return rejected.value.reason


def shown(path: Path, moments: Sequence[float]) -> list[tuple[np.ndarray, float]]:
    """By decoding everything: the frames presented at these moments, unscaled and upright, and when each began."""
    found: list[tuple[float, av.VideoFrame]] = []
    with av.open(str(path)) as container:
        zero = container.start_time / av.time_base
        for frame in container.decode(video=0):
            time = float(frame.pts * frame.time_base) - zero
            found = found or [(time, frame)] * len(moments)  # the first one stands where a moment comes before it
            found = [
                (time, frame) if time <= moment + 1e-5 else old for moment, old in zip(moments, found, strict=True)
            ]
    return [(_upright(frame), time) for time, frame in found]


def _upright(frame: av.VideoFrame) -> np.ndarray:
    return np.rot90(frame.to_ndarray(format="rgb24", interpolation=SCALING), round(frame.rotation / 90))


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """The same image, but for how chroma was interpolated: mean difference below 1 of 255."""
    return one.shape == other.shape and bool(np.abs(one.astype(int) - other).mean() < 1.0)
