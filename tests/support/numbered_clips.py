"""Tiny real clips for tests, made with the ffmpeg binary: every frame carries its number, the sound a click to time.

Tests get a `ClipFactory` from the `clips` fixture (tests/pipeline/conftest.py).
"""

import subprocess
from pathlib import Path

import ffmpeg
import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe

from pipeline.media.encode import encode_video
from pipeline.media.ffmpeg import file_input, run

WIDTH, HEIGHT, RATE = 192, 128, 44100
BITS = 8
CELL = WIDTH // BITS
TIMEOUT = 60


def numbered_frames(count: int, first: int = 0) -> np.ndarray:
    """uint8 (count, 128, 192, 3): the frame's number as eight black or white cells on top, a moving ramp below."""
    frames = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    for frame, number in zip(frames, range(first, first + count), strict=True):
        frame[...] = (np.arange(WIDTH)[None, :, None] + 5 * number + np.array([0, 40, 80])) % 256
        for bit in range(BITS):
            frame[:CELL, bit * CELL : (bit + 1) * CELL] = 255 * (number >> bit & 1)
    return frames


def number_of(frame: np.ndarray) -> int:
    """The number that a decoded, upright, unscaled frame carries."""
    cells = frame[CELL // 2, CELL // 2 :: CELL].mean(axis=-1)
    return sum(int(cell > 127) << bit for bit, cell in enumerate(cells[:BITS]))


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def burst(seconds: float, at: float, rate: int = RATE) -> np.ndarray:
    """Silence with 50 ms of tone from `at` on."""
    times = np.arange(round(seconds * rate)) / rate
    return np.where((times >= at) & (times < at + 0.05), tone(seconds, 1000.0, rate), 0.0).astype(np.float32)


class ClipFactory:
    """Writes clips into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plain(
        self,
        name: str = "plain.mp4",
        seconds: float = 6.0,
        fps: int = 25,
        waveform: np.ndarray | None = None,
        gop: int = 50,
        frames: np.ndarray | None = None,
    ) -> Path:
        """Numbered frames and a tone."""
        path = self.folder / name
        frames = numbered_frames(round(seconds * fps)) if frames is None else frames
        encode_video(path, frames, fps, tone(seconds) if waveform is None else waveform, RATE, gop=gop)
        return path

    def once(self, name: str, **options: object) -> Path:
        """As `plain`, made by the first who asks."""
        path = self.folder / name
        return path if path.exists() else self.plain(name, **options)

    def remux(self, source: Path, name: str, *, seek: float | None = None, **options: object) -> Path:
        """Copy the streams into another file with the given output options (`c="copy"` unless said otherwise)."""
        path = self.folder / name
        opened = file_input(source) if seek is None else file_input(source, ss=seek)
        run(ffmpeg.output(opened, f"file:{path}", **({"c": "copy"} | options)), timeout=TIMEOUT)
        return path

    def turned(self, source: Path, name: str, **display: object) -> Path:
        """A phone's way: the stored image stays, the display matrix turns it: `display_rotation` in degrees
        counterclockwise, `display_hflip`. Written by imageio-ffmpeg's binary: the one on PATH may be too old for it."""
        path = self.folder / name
        graph = ffmpeg.output(file_input(source, **display), f"file:{path}", c="copy")
        subprocess.run(ffmpeg.compile(graph, cmd=get_ffmpeg_exe()), check=True, capture_output=True, timeout=TIMEOUT)
        return path

    def join(self, *streams: ffmpeg.Stream, name: str, **options: object) -> Path:
        path = self.folder / name
        run(ffmpeg.output(*streams, f"file:{path}", **options), timeout=TIMEOUT)
        return path
