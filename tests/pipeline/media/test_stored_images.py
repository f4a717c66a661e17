"""Videos whose images are files of their own, with what such files say of themselves, and videos with a palette."""

import io
from pathlib import Path

import ffmpeg
import numpy as np
import pytest
from decoded import DECODERS
from PIL import Image, ImageOps

from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.ffmpeg import file_input, run
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.one_pass import OnePass
from pipeline.media.reader import MediaFile

CODECS = {"JPEG": "mjpeg", "PNG": "png"}
WIDTH, HEIGHT = 64, 48
QUARTERS = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
QUARTERS[: HEIGHT // 2, : WIDTH // 2], QUARTERS[: HEIGHT // 2, WIDTH // 2 :] = 255, 170
QUARTERS[HEIGHT // 2 :, : WIDTH // 2] = 85


def _exif(orientation: int | None) -> Image.Exif:
    facts = Image.Exif()
    facts[0x010F] = "a camera"
    if orientation is not None:
        facts[0x0112] = orientation
    return facts


def _video(path: Path, kind: str, orientation: int | None, container: str, sound: Path) -> Path:
    """Two seconds of one image at 10 a second, its file copied into the container as it is."""
    image = io.BytesIO()
    Image.fromarray(QUARTERS).save(image, kind, quality=95, exif=_exif(orientation))
    images = ffmpeg.input("pipe:0", format="image2pipe", framerate=10, vcodec=CODECS[kind]).video
    options = {"format": container, "vcodec": "copy", "acodec": "pcm_s16le", "t": 2}
    graph = ffmpeg.output(images, file_input(sound).audio, f"file:{path}", **options)
    run(graph, input=image.getvalue() * 20, timeout=60)
    return path


def _upright(orientation: int | None) -> np.ndarray:
    image = Image.fromarray(QUARTERS)
    if orientation is not None:
        image.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(image)).astype(int)


@DECODERS
@pytest.mark.parametrize(
    ("kind", "orientation", "container"),
    [("JPEG", None, "avi"), ("JPEG", 1, "mov"), ("JPEG", 6, "matroska"), ("JPEG", 6, "avi"), ("PNG", 3, "mov")],
)
def test_exif_in_the_images_of_a_video(tmp_path, clips, decode, kind: str, orientation, container: str) -> None:
    path = _video(tmp_path / "video", kind, orientation, container, clips.once("plain.mp4"))
    clip, expected = decode(path, DecodeOptions(short_side=0)), _upright(orientation)
    assert clip.frame.shape == expected.shape
    assert np.abs(clip.frame - expected).mean() < 3
    assert (clip.source_width, clip.source_height) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_decoders_turn_images_as_exif_says(tmp_path: Path, clips, orientation: int) -> None:
    path = _video(tmp_path / "video", "PNG", orientation, "mov", clips.once("plain.mp4"))
    for decode in (decode_clip, decode_clip_ffmpeg):
        np.testing.assert_array_equal(decode(path, DecodeOptions(short_side=0)).frame, _upright(orientation))


@pytest.mark.parametrize(
    ("container", "codec", "pixels"),
    [("mov", "smc", "pal8"), ("mov", "qtrle", "gray"), ("mov", "rawvideo", "pal8"), ("avi", "rawvideo", "pal8"),
     ("mov", "msrle", "pal8"), ("avi", "msrle", "pal8")],
)  # fmt: skip
def test_a_palette_that_is_told_once(clips, clip_maker, container: str, codec: str, pixels: str) -> None:
    source = file_input(clips.once("long-groups.mp4", seconds=4.0))
    options = {"vcodec": codec, "pix_fmt": pixels, "acodec": "pcm_s16le", "g": 10}
    path = clips.join(source.video, source.audio, name=f"{codec}.{container}", **options)
    moments = [1.02, 3.02]
    with MediaFile(path) as media:
        assert [clip_maker.number_of(media.frame_at(moment).pixels) for moment in moments] == [25, 75]
    with OnePass(path) as media:
        assert [clip_maker.number_of(media.pixels(frame, 0)[0]) for frame in media.shown_at(moments)] == [25, 75]
    for decode in (decode_clip, decode_clip_ffmpeg):
        assert clip_maker.number_of(decode(path, DecodeOptions(moment=3.02, short_side=0)).frame) == 75
