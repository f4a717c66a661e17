"""The ffmpeg binary: found, bounded in time, killed with its group, fed and read through pipes."""

import os
import time
from pathlib import Path

import ffmpeg
import pytest

from pipeline.media import ffmpeg as ffmpeg_module
from pipeline.media.encode import encode_video
from pipeline.media.ffmpeg import FfmpegFailed, FfmpegTimeout, binary, file_input, run


def _children() -> list[str]:
    """Processes that are still children of this one."""
    return [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def _raw(pixels: int = 4) -> ffmpeg.Stream:
    return ffmpeg.input("pipe:0", format="rawvideo", pix_fmt="gray", s=f"{pixels}x1", framerate=1)


def test_bytes_in_bytes_out() -> None:
    graph = ffmpeg.output(_raw().filter("negate"), "pipe:1", format="rawvideo", pix_fmt="gray", threads=1)
    assert run(graph, input=bytes([0, 10, 200, 255]), timeout=30) == bytes([255, 245, 55, 0])


def test_failure_carries_the_last_lines(tmp_path: Path) -> None:
    missing = file_input(tmp_path / "missing.mp4")
    with pytest.raises(FfmpegFailed, match="No such file or directory"):
        run(ffmpeg.output(missing, "pipe:1", format="null"), timeout=30)


def test_timeout_kills_the_group() -> None:
    endless = ffmpeg.input("testsrc2=rate=30", format="lavfi", re=None)
    before, started = set(_children()), time.monotonic()
    with pytest.raises(FfmpegTimeout, match=r"within 0\.5 s"):
        run(ffmpeg.output(endless, "pipe:1", format="null"), timeout=0.5)
    assert time.monotonic() - started < 10
    assert set(_children()) <= before


def test_names_are_data(tmp_path: Path, clip_maker) -> None:
    """Leading dash, spaces, quotes, a newline, a percent sign and a protocol prefix are parts of a name."""
    for name in ("-i.mp4", "a b'c\"d.mp4", "new\nline.mp4", "%03d.mp4", "concat:x|y.mp4"):
        path = tmp_path / name
        encode_video(path, clip_maker.numbered_frames(3), 25, None)
        assert path.is_file()
        probe = ffmpeg.output(file_input(path), "pipe:1", format="rawvideo", pix_fmt="gray", threads=1)
        assert len(run(probe, timeout=30)) == 3 * clip_maker.WIDTH * clip_maker.HEIGHT


def test_the_binary_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "ffmpeg"
    own.write_text("#!/bin/sh\nexit 3\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(ffmpeg_module, "binary", binary.__wrapped__)
    assert ffmpeg_module.binary() == str(own)
    with pytest.raises(FfmpegFailed, match="code 3"):
        run(ffmpeg.output(_raw(), "pipe:1", format="null"), input=b"", timeout=30)
    own.unlink()
    assert os.access(ffmpeg_module.binary(), os.X_OK)
