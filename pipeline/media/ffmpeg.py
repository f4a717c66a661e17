"""The one place that starts the ffmpeg binary: an ffmpeg-python graph in, its standard output or a named failure out.

Users are the synthetic corpus (`encode_video`) and the second decoder (`media_ffmpeg`). The binary is the one on
PATH, or else the static one that imageio-ffmpeg carries. Every run is one single-threaded process in a process group
of its own, without a shell, killed as a group when its time is over.
"""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import ffmpeg
import numpy as np

from manifests.errors import InputError
from manifests.machine import MachineFailed
from manifests.whole_files import whole_path

GLOBAL_OPTIONS = ("-nostdin", "-hide_banner", "-filter_threads", "1", "-filter_complex_threads", "1")
ERROR_LINES = 5
NOT_RUNNABLE = (126, 127)  # how a loader or a shell ends that cannot start the program itself


class FfmpegFailed(Exception):
    """The ffmpeg binary ended with an error; the message holds its last lines."""


class FfmpegTimeout(FfmpegFailed):
    """The ffmpeg binary was killed because it did not end within its time."""


@cache
def binary() -> str:
    """The ffmpeg executable. Raises InputError when there is none."""
    if on_path := shutil.which("ffmpeg"):
        return on_path
    import imageio_ffmpeg

    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise InputError(
            "no ffmpeg binary: none is on PATH and imageio-ffmpeg carries none for this platform; install ffmpeg"
        ) from error


def file_input(path: Path | str, **options: object) -> ffmpeg.Stream:
    """An input node whose name is data: a leading dash or a `protocol:` prefix in it means nothing to ffmpeg."""
    return ffmpeg.input(f"file:{os.fspath(path)}", threads=1, **options)


def run(graph: ffmpeg.Stream, *, input: bytes | None = None, timeout: float, log_level: str = "error") -> bytes:
    """Run an ffmpeg-python output graph; `input` feeds `pipe:0`, what the graph writes to `pipe:1` is returned.

    Give encoders `threads=1`, as `file_input` does for decoders: ffmpeg has no such option for a whole command.
    Raises FfmpegFailed, FfmpegTimeout after `timeout` seconds, MachineFailed when the binary cannot be started.
    """
    return run_logged(graph, input=input, timeout=timeout, log_level=log_level)[0]


def run_logged(
    graph: ffmpeg.Stream, *, input: bytes | None = None, timeout: float, log_level: str = "info"
) -> tuple[bytes, str]:
    """As `run`, and also return what ffmpeg wrote on stderr (filters such as `showinfo` report there)."""
    command = ffmpeg.compile(graph, cmd=[binary(), *GLOBAL_OPTIONS, "-loglevel", log_level], overwrite_output=True)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except OSError as error:
        raise MachineFailed(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        output, log = process.communicate(input, timeout)
    except subprocess.TimeoutExpired as error:
        raise FfmpegTimeout(f"ffmpeg did not end within {timeout:g} s") from error
    finally:
        _kill_group(process)
    text = log.decode(errors="replace")
    if process.returncode:
        last_lines = "; ".join(text.strip().splitlines()[-ERROR_LINES:])
        if process.returncode in NOT_RUNNABLE or os.strerror(errno.ENOSPC) in text:
            raise MachineFailed(f"{command[0]} ended with code {process.returncode}: {last_lines}")
        raise FfmpegFailed(f"ffmpeg ended with code {process.returncode}: {last_lines}")
    return output, text


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing behind when the run was cut short: by its timeout, by Ctrl-C, by a broken pipe."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


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
    timeout: float = 120.0,
) -> None:
    """Write an mp4 (H.264 yuv420p, AAC without noise substitution); equal input gives equal bytes with one binary.

    frames: uint8 (T, H, W, 3) RGB, H and W even. waveform: float32 (S,) or (S, channels) in [-1, 1], None for a
    silent file without a sound stream. The file appears under its name only when it is complete.
    Raises ValueError on other arrays, FfmpegFailed when encoding fails.
    """
    _check_frames(frames)
    path = Path(path)
    with whole_path(path) as hidden, tempfile.TemporaryDirectory(prefix="encode-") as scratch:
        streams = [_raw_video_input(frames, fps)]
        options: dict[str, object] = {"c:v": "libx264", "preset": preset, "crf": crf, "g": gop, "pix_fmt": "yuv420p"}
        if waveform is not None:
            streams.append(_raw_audio_input(Path(scratch) / "sound.f32", waveform, sample_rate))
            options |= {"c:a": "aac", "b:a": audio_bitrate, "aac_pns": 0}
        graph = ffmpeg.output(*streams, f"file:{hidden}", format="mp4", threads=1, **options, **_BIT_EXACT)
        run(graph, input=np.ascontiguousarray(frames).tobytes(), timeout=timeout)


_BIT_EXACT = {"fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact", "map_metadata": -1}


def _check_frames(frames: np.ndarray) -> None:
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"frames must be uint8 (T, H, W, 3), got {frames.dtype} {frames.shape}")
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(f"H.264 yuv420p needs an even height and width, got {frames.shape[1]}x{frames.shape[2]}")


def _raw_video_input(frames: np.ndarray, fps: float) -> ffmpeg.Stream:
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    return ffmpeg.input("pipe:0", format="rawvideo", pix_fmt="rgb24", s=size, framerate=fps).video


def _raw_audio_input(scratch: Path, waveform: np.ndarray, sample_rate: int) -> ffmpeg.Stream:
    """Sound goes through a file: ffmpeg has one standard input, and the frames need it."""
    samples = np.asarray(waveform, dtype="<f4")
    if samples.ndim not in (1, 2):
        raise ValueError(f"waveform must be (S,) or (S, channels), got {samples.shape}")
    scratch.write_bytes(samples.tobytes())
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    return ffmpeg.input(f"file:{scratch}", format="f32le", ar=sample_rate, ac=channels).audio
