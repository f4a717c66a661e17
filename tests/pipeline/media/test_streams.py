"""Of several streams of one kind, the one that ffmpeg takes unasked is seen and heard; in both decoders."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from decoded import DECODERS
from numbered_clips import tone

from pipeline.media.decode import DecodeOptions
from pipeline.media.still import AudioFile

RATE, SECONDS, FPS = 44100, 3, 25
NONE, DEFAULT, COMMENT = Disposition(0), Disposition.default, Disposition.comment
SMALL, LARGE = (64, 48), (96, 64)
Image = tuple[Disposition, tuple[int, int], int]  # size, grey
Sound = tuple[Disposition, str, float]  # layout, Hz


def _write(path: Path, kind: str, images: list[Image], sounds: list[Sound]) -> Path:
    """Streams of one grey each, and of one tone each, in this order."""
    with av.open(str(path), "w", format=kind) as out:
        videos = [(_add_image(out, *image), image[2]) for image in images]
        audios = [(_add_sound(out, *sound), sound[2]) for sound in sounds]
        for video, grey in videos:
            for number in range(SECONDS * FPS):
                frame = av.VideoFrame.from_ndarray(np.full((video.height, video.width, 3), grey, np.uint8), "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        for audio, hertz in audios:
            planes = np.stack([tone(SECONDS, hertz)] * audio.channels)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=audio.layout.name)
            frame.sample_rate = RATE
            out.mux(audio.encode(frame))
            out.mux(audio.encode(None))
    return path


def _add_image(
    out: av.container.OutputContainer, disposition: Disposition, size: tuple[int, int], _: int
) -> av.VideoStream:
    video = out.add_stream("mpeg4", rate=FPS)
    video.width, video.height = size
    video.pix_fmt, video.disposition = "yuv420p", disposition
    return video


def _add_sound(out: av.container.OutputContainer, disposition: Disposition, layout: str, _: float) -> av.AudioStream:
    audio = out.add_stream("aac", rate=RATE, layout=layout)
    audio.disposition = disposition
    return audio


def _pitch(waveform: np.ndarray, rate: int = 11025) -> float:
    return float(np.abs(np.fft.rfft(waveform)).argmax() * rate / len(waveform))


@DECODERS
@pytest.mark.parametrize("kind", ["matroska", "mp4"])
@pytest.mark.parametrize(
    "sounds",
    [
        [(NONE, "mono", 300), (DEFAULT, "mono", 700)],
        [(COMMENT, "stereo", 300), (DEFAULT, "mono", 700)],
        [(DEFAULT, "mono", 300), (DEFAULT, "stereo", 700), (DEFAULT, "stereo", 1100)],
    ],
    ids=["the default one", "rather than one with more channels", "the first with the most channels"],
)
def test_the_sound_of_several(tmp_path: Path, decode, kind: str, sounds: list[Sound]) -> None:
    path = _write(tmp_path / "video", kind, [(DEFAULT, SMALL, 128)], sounds)
    assert _pitch(decode(path, DecodeOptions(short_side=0)).waveform) == pytest.approx(700, abs=1)
    with AudioFile(path) as media:
        assert _pitch(media.audio_between(0.0, 11025, 22050).samples) == pytest.approx(700, abs=1)


@DECODERS
@pytest.mark.parametrize("kind", ["matroska", "mp4"])
@pytest.mark.parametrize(
    "images",
    [
        [(NONE, LARGE, 20), (DEFAULT, SMALL, 200)],
        [(DEFAULT, SMALL, 20), (DEFAULT, LARGE, 200), (DEFAULT, LARGE, 60)],
    ],
    ids=["the default one", "the first of the largest"],
)
def test_the_image_of_several(tmp_path: Path, decode, kind: str, images: list[Image]) -> None:
    path = _write(tmp_path / "video", kind, images, [(DEFAULT, "mono", 440)])
    assert decode(path, DecodeOptions(short_side=0)).frame.mean() == pytest.approx(200, abs=3)


@DECODERS
def test_cover_art_is_never_the_image_however_large(tmp_path: Path, decode) -> None:
    """Of MP4, whose cover is a picture of the metadata, and of Matroska, where it is an attachment."""
    path = _write(tmp_path / "plain", "mp4", [(DEFAULT, SMALL, 200)], [(DEFAULT, "mono", 440)])
    covered = tmp_path / "covered"
    cover = io.BytesIO()
    _still(cover)
    with av.open(str(path)) as source, av.open(cover) as image, av.open(str(covered), "w", format="mp4") as out:
        first = out.add_stream_from_template(image.streams.video[0])
        first.disposition = Disposition.attached_pic
        others = {each.index: out.add_stream_from_template(each) for each in source.streams}
        for packet in (each for each in image.demux() if each.size):
            packet.stream = first
            out.mux(packet)
        for packet in (each for each in source.demux() if each.size):
            packet.stream = others[packet.stream_index]
            out.mux(packet)
    assert decode(covered, DecodeOptions(short_side=0)).frame.mean() == pytest.approx(200, abs=3)


def _still(buffer: io.BytesIO) -> None:
    with av.open(buffer, "w", format="mjpeg") as out:
        video = out.add_stream("mjpeg", rate=1)
        video.width, video.height, video.pix_fmt = *LARGE, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((LARGE[1], LARGE[0], 3), np.uint8), "rgb24")
        out.mux([*video.encode(frame), *video.encode(None)])
    buffer.seek(0)
