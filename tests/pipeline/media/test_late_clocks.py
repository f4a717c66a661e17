"""Segments and parts of longer recordings, whose clock does not begin at 0."""

import struct
from pathlib import Path
from types import ModuleType

import moving
import numpy as np
import pytest
from decoded import DECODERS, verdict
from moving import Form, Part

from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.ffmpeg import file_input
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.one_pass import OnePass
from pipeline.media.reader import MediaFile
from pipeline.media.still import AudioFile

FORMS = [
    Form("matroska", "libx264", 2), Form("asf", "wmv2"), Form("nut", "mpeg4", 2),
    Form("wtv", "mpeg2video", 2), Form("mp4", "libx264", 2), Form("mov", "mjpeg"), Form("mpegts", "libx264", 2),
    Form("mpeg", "mpeg2video", 2), Form("flv", "flv"), Form("mxf", "mpeg2video", 2),
]  # fmt: skip
SLOW = [pytest.param(form, marks=pytest.mark.slow) for form in (Form("webm", "libvpx"), Form("ogg", "libvpx"))]
SECONDS = 130 / moving.FPS
DURATION = b"\x44\x89\x88"  # the name of Matroska's element, and that eight bytes follow


def _with_length(content: bytes, seconds: float) -> bytes:
    """A Matroska file whose header states another length."""
    place = content.index(DURATION) + len(DURATION)
    return content[:place] + struct.pack(">d", seconds * 1000) + content[place + 8 :]


@pytest.fixture
def late(tmp_path: Path, clip_maker: ModuleType) -> Path:
    moving.write(tmp_path / "late", Form("matroska", "libx264", 2), clip_maker, Part(begin=30.0))
    return tmp_path / "late"


@pytest.mark.parametrize("form", [*FORMS, *SLOW], ids=str)
@pytest.mark.parametrize("begin", [1.0, 30.0])
def test_a_clip_is_as_long_as_its_data(tmp_path: Path, clip_maker: ModuleType, form: Form, begin: float) -> None:
    moving.write(tmp_path / "early", form, clip_maker)
    moving.write(tmp_path / "late", form, clip_maker, Part(begin=begin))
    early = decode_clip(tmp_path / "early")
    assert early.duration == pytest.approx(SECONDS, abs=0.1)
    for decode in (decode_clip, decode_clip_ffmpeg):
        clip = decode(tmp_path / "late")
        assert clip.duration == pytest.approx(early.duration, abs=0.08)
        assert clip.moment == pytest.approx(early.moment, abs=0.04)
        assert abs(clip_maker.number_of(clip.frame) - clip_maker.number_of(early.frame)) <= 2
        assert clip.frame_pts == pytest.approx(early.frame_pts, abs=0.08)
        assert clip.flags == early.flags


@DECODERS
def test_what_was_cut_off_is_still_seen(late: Path, decode) -> None:
    content = late.read_bytes()
    assert verdict(decode, content[: len(content) // 3], DecodeOptions(moment=3.0)) == "corrupt"


def test_a_header_may_state_the_length_all_the_same(late: Path) -> None:
    for seconds in (SECONDS, SECONDS + 30):  # as mkvmerge writes it, and as ffmpeg
        with MediaFile(_with_length(late.read_bytes(), seconds)) as media:
            assert media.facts.duration == pytest.approx(SECONDS, abs=0.05)


@pytest.mark.parametrize("codec", ["libopus", "libvorbis"])  # of which Ogg states the end, and the length
@pytest.mark.parametrize("begin", [0.3, 7.0])
def test_ogg_counts_in_two_ways(clips, codec: str, begin: float) -> None:
    sound = file_input(clips.once("plain.mp4")).audio
    path = clips.join(sound, name=f"{codec}-{begin:g}.ogg", acodec=codec, ar=48000, output_ts_offset=begin)
    with AudioFile(path) as media:
        assert media.facts.duration == pytest.approx(6.0, abs=0.05)
        assert media.announced == pytest.approx(6.0, abs=0.05)


def test_sounds_alone_and_all_moments_of_a_video(late: Path) -> None:
    with AudioFile(late) as media:
        assert media.facts.duration == pytest.approx(SECONDS, abs=0.05)
        assert media.announced == pytest.approx(SECONDS, abs=0.05)
    with OnePass(late) as media:
        moments = [0.5, 2.0, media.facts.duration - 0.1]
        assert len(list(media.shown_at(moments))) == len(moments)
        spans = media.audio_spans([0.0, media.facts.duration - 1.0], 16000, 16000)
        assert all(np.abs(span.samples[-8000:]).max() > 0.1 for span in spans)
