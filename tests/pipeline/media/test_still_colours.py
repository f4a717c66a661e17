"""What PNG files say of their colours beside a profile: cICP, as ffmpeg writes it of a video, and cHRM."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from pipeline.media.colours import HLG, PQ, seen
from pipeline.media.still import read_image, read_pixels, rgba
from pipeline.shards.record import Rejected

COLOUR = (220, 40, 40)
WHITE = (0.3127, 0.3290)
PRIMARIES = {  # by their number in ISO/IEC 23091-2: the chromaticities of red, green and blue
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)), 6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), 12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}  # fmt: skip
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))


def _png(image: Image.Image, *chunks: tuple[bytes, bytes], **options: object) -> bytes:
    said = PngImagePlugin.PngInfo()
    for name, body in chunks:
        said.add(name, body)
    image.save(buffer := io.BytesIO(), "PNG", pnginfo=said, **options)
    return buffer.getvalue()


def _cicp(primaries: int, transfer: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, 1])


def _chrm(primaries: tuple, white: tuple[float, float] = WHITE) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(100_000 * each) for pair in (white, *primaries) for each in pair))


def _to_xyz(primaries: tuple) -> np.ndarray:
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    return columns * np.linalg.solve(columns, [0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])


def _stored(primaries: tuple) -> tuple[int, ...]:
    """How a file of these primaries stores COLOUR."""
    coded = np.array(COLOUR) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    light = np.linalg.solve(_to_xyz(primaries), _to_xyz(PRIMARIES[1]) @ linear)
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return tuple(int(each) for each in np.round(255 * shown))


def _seen(content: bytes) -> np.ndarray:
    return read_image(content, 0.0, 0).pixels[20, 20].astype(int)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("primaries", [*PRIMARIES.values(), ADOBE_RGB])
def test_primaries_become_those_of_a_screen(mode: str, primaries: tuple) -> None:
    image = Image.new("RGB", (64, 48), _stored(primaries))
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    said = [_chrm(primaries)]
    numbers = [number for number, each in PRIMARIES.items() if each == primaries]
    said += [_cicp(number, transfer) for number in numbers for transfer in (1, 13)]
    is_television = primaries == PRIMARIES[6]  # of before: as it is stored, also in a video
    for chunk in said:
        expected = _stored(primaries) if is_television else COLOUR
        assert np.abs(_seen(_png(image, chunk)) - expected).max() <= 6


def test_greys_have_no_primaries() -> None:
    for mode in ("L", "LA", "I;16"):
        image = Image.new(mode, (64, 48), (100, 255) if mode == "LA" else 100 * 257 if mode == "I;16" else 100)
        for chunk in (_cicp(9, 1), _chrm(PRIMARIES[9])):
            assert _seen(_png(image, chunk)).tolist() == [100] * 3


def test_the_white_of_a_file_is_white() -> None:
    image = Image.new("RGB", (64, 48), "white")
    assert np.abs(_seen(_png(image, _chrm(PRIMARIES[9], (0.3457, 0.3585)))) - 255).max() <= 1


def test_which_words_count() -> None:
    """cICP before a profile before sRGB before gAMA and cHRM; what is no set of primaries says nothing."""
    wide, plain = Image.new("RGB", (64, 48), _stored(PRIMARIES[12])), Image.new("RGB", (64, 48), COLOUR)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    gamma, srgb = (b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0")
    assert np.abs(_seen(_png(wide, _cicp(12, 13), gamma, icc_profile=profile)) - COLOUR).max() <= 6
    for said in ([_cicp(1, 13), gamma], [_cicp(1, 1), _chrm(PRIMARIES[9])], [srgb, _chrm(PRIMARIES[9])]):
        assert _seen(_png(plain, *said)).tolist() == list(COLOUR)
    assert _seen(_png(plain, _chrm(PRIMARIES[9]), icc_profile=profile)).tolist() == list(COLOUR)
    assert np.abs(_seen(_png(wide, _cicp(2, 2), _chrm(PRIMARIES[12]))) - COLOUR).max() <= 6
    for nonsense in ((b"cHRM", bytes(32)), _chrm((WHITE, WHITE, WHITE))):
        assert _seen(_png(plain, nonsense)).tolist() == list(COLOUR)


def test_transparency_and_orientation_stay() -> None:
    image, clear = Image.new("RGB", (64, 48), _stored(PRIMARIES[9])), np.arange(64, dtype=np.uint8)[None].repeat(48, 0)
    image.putalpha(Image.fromarray(clear))
    exif = Image.Exif()
    exif[0x0112] = 3
    for chunk in (_cicp(9, 1), _cicp(9, 16), _chrm(PRIMARIES[9])):
        assert (read_pixels(_png(image, chunk, exif=exif), rgba)[..., 3] == clear[::-1, ::-1]).all()


def _deep(samples: np.ndarray, form: str, transfer: int) -> bytes:
    """As ffmpeg extracts an image of a video of high dynamic range."""
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width, codec.pix_fmt = *samples.shape[:2], form
    codec.time_base, codec.color_primaries, codec.color_trc = Fraction(1, 25), 9, transfer
    frame = av.VideoFrame.from_ndarray(samples, format=form)
    frame.color_primaries, frame.color_trc = 9, transfer
    content = b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
    assert b"cICP" in content
    return content


@pytest.mark.parametrize(("number", "transfer"), [(16, PQ), (18, HLG)])
@pytest.mark.parametrize("form", ["rgb48be", "gray16be"])
def test_high_dynamic_range_is_brought_down_as_in_a_video(number: int, transfer: str, form: str) -> None:
    ramp = np.linspace(0, 65535, 64).round().astype(np.uint16)[None].repeat(48, 0)
    colours = np.stack([ramp, ramp[:, ::-1], ramp // 2], axis=-1) if form == "rgb48be" else ramp
    content = _deep(colours, form, number)
    expected = seen(colours if colours.ndim == 3 else np.repeat(ramp[..., None], 3, axis=2), transfer)
    assert np.abs(read_image(content, 0.0, 0).pixels.astype(int) - expected).max() <= 1
    with pytest.raises(Rejected) as rejected:
        read_image(content[: len(content) // 2], 0.0, 0)
    assert rejected.value.reason == "corrupt"
