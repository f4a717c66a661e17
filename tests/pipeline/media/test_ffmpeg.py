"""The ffmpeg binary: found, bounded in time, killed with its group, fed and read through pipes, reproducible."""

import os
import time
from pathlib import Path

import av
import ffmpeg
import numpy as np
import pytest

from pipeline.media import ffmpeg as ffmpeg_module
from pipeline.media.ffmpeg import FfmpegFailed, FfmpegTimeout, binary, encode_video, file_input, run


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


def test_video_holds_what_was_given(tmp_path: Path, clip_maker) -> None:
    path = tmp_path / "clip.mp4"
    encode_video(path, clip_maker.numbered_frames(50), 25, clip_maker.tone(2.0), crf=10)
    with av.open(str(path)) as container:
        numbers = [clip_maker.number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        assert container.duration == 2_000_000
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert numbers == list(range(50))
    with av.open(str(path)) as container:
        audio = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)[0]
    assert np.corrcoef(audio[4000:80000], clip_maker.tone(2.0)[4000:80000])[0, 1] > 0.999


def test_stereo_and_no_audio(tmp_path: Path, clip_maker) -> None:
    frames = clip_maker.numbered_frames(10)
    stereo = np.stack([clip_maker.tone(0.4), clip_maker.tone(0.4, 880)], axis=1)
    encode_video(tmp_path / "stereo.mp4", frames, 25, stereo)
    encode_video(tmp_path / "mute.mp4", frames, 25, None)
    with av.open(str(tmp_path / "stereo.mp4")) as container:
        assert container.streams.audio[0].codec_context.layout.name == "stereo"
    with av.open(str(tmp_path / "mute.mp4")) as container:
        assert not container.streams.audio


def test_equal_input_gives_equal_bytes(tmp_path: Path, clip_maker) -> None:
    for name in ("one.mp4", "two.mp4"):
        encode_video(tmp_path / name, clip_maker.numbered_frames(30), 30, clip_maker.tone(1.0))
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_a_failed_encoding_leaves_nothing(tmp_path: Path, clip_maker) -> None:
    with pytest.raises(FfmpegFailed):
        encode_video(tmp_path / "clip.mp4", clip_maker.numbered_frames(5), 25, None, preset="no such preset")
    assert not list(tmp_path.iterdir())


def test_arrays_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode_video(tmp_path / "clip.mp4", np.zeros((2, 4, 4, 3), np.float32), 25, None)
    with pytest.raises(ValueError, match="even"):
        encode_video(tmp_path / "clip.mp4", np.zeros((2, 5, 4, 3), np.uint8), 25, None)


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
