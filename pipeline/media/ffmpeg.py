"""The one place that starts the ffmpeg binary: an ffmpeg-python graph in, its standard output or a named failure out.

Its user is the second decoder (`ffmpeg_decoder`). The binary is the one on PATH, or else the static one that
imageio-ffmpeg carries. Every run is one single-threaded process in a process group
of its own, without a shell, killed as a group when its time is over.
"""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
from functools import cache
from pathlib import Path

import ffmpeg

from manifests.errors import InputError
from manifests.machine import MachineFailed

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
