"""Frames and samples to a video file, in this process: how made corpora write their clips.

A process of the ffmpeg program for each clip costs three times as much for clips of a few seconds.
"""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from manifests.files.whole import write_bytes

_BOX_HEADER, _INDEX = 8, b"moov"  # of an mp4: size and kind stand before each box
_WITHOUT_DATES_AND_VERSIONS = {"fflags": "+bitexact"}


class EncodingFailed(Exception):
    """The libraries refuse the options, or cannot make a video of the arrays."""


def encode_video(
    path: Path | str,
    frames: np.ndarray,
    fps: float,
    waveform: np.ndarray | None,
    sample_rate: int = 44100,
    *,
    preset: str = "veryfast",
    crf: int = 23,
    gop: int = 250,
    audio_bitrate: str = "96k",
    audio_coder: str = "twoloop",
) -> None:
    """Write an mp4 (H.264 yuv420p, AAC without noise substitution); equal input gives equal bytes with one PyAV.

    frames: uint8 (T, H, W, 3) RGB, H and W even. waveform: float32 (S,) or (S, channels) in [-1, 1], None for a
    silent file without a sound stream. audio_coder: ffmpeg's for AAC; "fast" takes half the time of "twoloop".
    The file appears under its name only when it is complete.
    Raises ValueError on other arrays, EncodingFailed when encoding fails.
    """
    _check_frames(frames)
    planes = _planes(waveform)
    audio_options = {"b": audio_bitrate, "aac_coder": audio_coder, "aac_pns": "0"}
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format="mp4", options=_WITHOUT_DATES_AND_VERSIONS) as container:
            video = _add_video(container, frames, fps, {"preset": preset, "crf": str(crf)}, gop)
            audio = _add_audio(container, len(planes), sample_rate, audio_options) if len(planes) else None
            packets = _image_packets(video, frames) + ([] if audio is None else _audio_packets(audio, planes))
            container.mux(sorted(packets, key=_time))
    except (av.FFmpegError, ValueError) as error:
        raise EncodingFailed(f"{Path(path).name} cannot be encoded: {error}") from error
    write_bytes(Path(path), buffer.getvalue())


def is_whole(path: Path) -> bool:
    """Whether a file of `encode_video` is there and has not lost its end: its boxes fill it, the index being one."""
    if not path.is_file():
        return False
    place, kinds, size = 0, set(), path.stat().st_size
    with open(path, "rb") as handle:
        while place + _BOX_HEADER <= size:
            handle.seek(place)
            header = handle.read(_BOX_HEADER)
            kinds.add(header[4:])
            place += max(int.from_bytes(header[:4]), _BOX_HEADER)
    return place == size and _INDEX in kinds


def _check_frames(frames: np.ndarray) -> None:
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"frames must be uint8 (T, H, W, 3), got {frames.dtype} {frames.shape}")
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(f"H.264 yuv420p needs an even height and width, got {frames.shape[1]}x{frames.shape[2]}")


def _planes(waveform: np.ndarray | None) -> np.ndarray:
    """Samples as the encoder takes them, float32 (channels, S); no channels where there is no audio."""
    if waveform is None:
        return np.empty((0, 0), np.float32)
    samples = np.asarray(waveform, np.float32)
    if samples.ndim not in (1, 2):
        raise ValueError(f"waveform must be (S,) or (S, channels), got {samples.shape}")
    return np.ascontiguousarray(np.atleast_2d(samples.T))


def _add_video(
    container: av.container.OutputContainer, frames: np.ndarray, fps: float, options: dict[str, str], gop: int
) -> av.VideoStream:
    rate = Fraction(fps).limit_denominator(100_000)
    video = container.add_stream("libx264", rate=rate, options=options)
    video.height, video.width = frames.shape[1:3]
    video.pix_fmt, video.gop_size = "yuv420p", gop
    video.codec_context.thread_count = 1  # whoever makes many has a process for every core
    return video


def _add_audio(
    container: av.container.OutputContainer, channels: int, rate: int, options: dict[str, str]
) -> av.AudioStream:
    return container.add_stream("aac", rate=rate, layout=f"{channels}c", options=options)


def _image_packets(video: av.VideoStream, frames: np.ndarray) -> list[av.Packet]:
    packets: list[av.Packet] = []
    for image in frames:
        packets += video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"))
    return packets + video.encode(None)


def _audio_packets(audio: av.AudioStream, planes: np.ndarray) -> list[av.Packet]:
    frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=f"{len(planes)}c")
    frame.sample_rate, frame.pts = audio.rate, 0
    return audio.encode(frame) + audio.encode(None)


def _time(packet: av.Packet) -> Fraction:
    """When it has to be decoded, seconds: images and audio lie beside one another in the file."""
    return (packet.dts or 0) * Fraction(packet.time_base or 1)
