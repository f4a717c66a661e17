"""Videos from arrays: what was given can be read back, equal bytes every time, nothing half written."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.media.encode import EncodingFailed, encode_video


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
    with pytest.raises(EncodingFailed):
        encode_video(tmp_path / "clip.mp4", clip_maker.numbered_frames(5), 25, None, preset="no such preset")
    with pytest.raises(EncodingFailed, match=r"clip\.mp4"):
        encode_video(tmp_path / "clip.mp4", clip_maker.numbered_frames(5), 25, clip_maker.tone(0.2), sample_rate=11)
    assert not list(tmp_path.iterdir())


def test_arrays_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode_video(tmp_path / "clip.mp4", np.zeros((2, 4, 4, 3), np.float32), 25, None)
    with pytest.raises(ValueError, match="even"):
        encode_video(tmp_path / "clip.mp4", np.zeros((2, 5, 4, 3), np.uint8), 25, None)
