"""Edges that a container or a codec says are not shown are cut off, in both decoders and wherever images are read; what
is turned by no right angle is refused."""

import struct
from collections.abc import Callable
from pathlib import Path

import ffmpeg
import numpy as np
import pytest
from decoded import DECODERS, alike, verdict
from numbered_clips import HEIGHT, WIDTH, ClipFactory

from pipeline.media import ffmpeg_decoder
from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.ffmpeg import file_input
from pipeline.media.ffmpeg_decoder import decode_clip_ffmpeg
from pipeline.media.framing import check_turn
from pipeline.media.one_pass import OnePass
from pipeline.shards.record import Rejected

LEFT, RIGHT, TOP, BOTTOM = 48, 24, 16, 8
NATIVE = DecodeOptions(short_side=0)


def _with_aperture(content: bytes, width: int, height: int) -> bytes:
    """An mp4 with its index at the end and the image first in it, and a box that says what of the image is clean."""
    offsets = (LEFT - RIGHT) // 2, (TOP - BOTTOM) // 2  # of the centre
    box = struct.pack(">I4s4I4i", 40, b"clap", width, 1, height, 1, offsets[0], 1, offsets[1], 1)
    found = bytearray(content)
    moov = content.rindex(b"moov") - 4
    entry = content.index(b"avc1", content.index(b"stsd", moov)) - 4
    after = entry + int.from_bytes(content[entry : entry + 4])
    found[after:after] = box
    parents = [content.rindex(name, 0, entry) - 4 for name in (b"stsd", b"stbl", b"minf", b"mdia", b"trak")]
    for begin in (entry, *parents, moov):
        found[begin : begin + 4] = (int.from_bytes(found[begin : begin + 4]) + len(box)).to_bytes(4)
    return bytes(found)


@pytest.fixture(scope="module")
def plain(clips: ClipFactory) -> Path:
    return clips.once("uncropped.mp4", seconds=4.0)


@pytest.fixture(scope="module")
def cropped(plain: Path, clips: ClipFactory) -> Path:
    path = clips.folder / "clean.mp4"
    path.write_bytes(_with_aperture(plain.read_bytes(), WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM))
    return path


def _cut(image: np.ndarray) -> np.ndarray:
    return image[TOP:-BOTTOM, LEFT:-RIGHT]


@DECODERS
@pytest.mark.parametrize(
    "written",
    [
        lambda path, clips: path,
        lambda path, clips: clips.turned(path, "clean.mkv"),  # with its own ffmpeg: older ones lose the edges
        lambda path, clips: clips.turned(path, "clean.mov"),
    ],
    ids=["mp4", "mkv", "mov"],
)
def test_what_the_container_cuts_off(
    plain: Path, cropped: Path, clips: ClipFactory, decode, written: Callable[..., Path]
) -> None:
    found = decode(written(cropped, clips), NATIVE)
    assert alike(found.frame, _cut(decode(plain, NATIVE).frame))
    assert (found.source_width, found.source_height) == (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)


@DECODERS
def test_it_is_cut_off_before_the_image_is_turned(plain: Path, cropped: Path, clips: ClipFactory, decode) -> None:
    turned = decode(clips.turned(cropped, "clean-turned.mp4", display_rotation=90), NATIVE).frame
    assert alike(turned, np.rot90(_cut(decode(plain, NATIVE).frame)))


@DECODERS
def test_what_the_codec_cuts_off_at_the_left_is_cut_to_the_pixel(plain: Path, clips: ClipFactory, decode) -> None:
    edges = f"h264_metadata=crop_left={LEFT}:crop_right={RIGHT}:crop_top={TOP}:crop_bottom={BOTTOM}"
    path = clips.remux(plain, "codec.mp4", **{"bsf:v": edges})
    assert alike(decode(path, NATIVE).frame, _cut(decode(plain, NATIVE).frame))


@DECODERS
@pytest.mark.parametrize("degrees", [45, 100])
def test_an_image_turned_by_no_right_angle_is_refused(plain: Path, clips: ClipFactory, decode, degrees: int) -> None:
    with pytest.raises(Rejected, match=f"turned by {degrees} degrees") as rejected:
        decode(clips.turned(plain, f"turned{degrees}.mp4", display_rotation=degrees))
    assert rejected.value.reason == "unreadable"


def test_a_turn_of_nothing_and_one_that_is_nearly_right() -> None:
    for degrees in (0.0, -0.5, 90.9, -90.0, 180.0, 359.5, float("nan")):
        check_turn(degrees)


def test_moments_of_one_pass_and_of_a_full_decode(plain: Path, cropped: Path) -> None:
    expected = _cut(decode_clip(plain, NATIVE).frame)
    with OnePass(cropped) as media:
        assert alike(media.pixels(next(media.shown_at([2.0])), 0)[0], expected)
        frames = {round(seconds, 2): frame for seconds, frame in media.frames()}
        assert alike(media.pixels(frames[2.0], 0)[0], expected)


@DECODERS
def test_more_than_there_is_cannot_be_cut_off(plain: Path, tmp_path: Path, clips: ClipFactory, decode) -> None:
    """The header is believed for an image of 32 pixels of which the codec, later, shows less than is cut off."""
    small = clips.remux(plain, "small.mp4", **{"bsf:v": f"h264_metadata=crop_right={WIDTH - 32}"})
    content = _with_aperture(small.read_bytes(), 8, 8)
    path = tmp_path / "nothing.mp4"
    path.write_bytes(content)
    assert verdict(decode, path) == "corrupt"


def test_an_ffmpeg_that_knows_no_edges_is_not_used(cropped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses the option that it does not know; as it is told here by another name."""

    def renamed(path: Path, **options: object) -> ffmpeg.Stream:
        return file_input(path, **{name.replace("apply", "older"): value for name, value in options.items()})

    monkeypatch.setattr(ffmpeg_decoder, "file_input", renamed)
    with pytest.raises(Rejected, match="older_cropping"):
        decode_clip_ffmpeg(cropped, NATIVE)
