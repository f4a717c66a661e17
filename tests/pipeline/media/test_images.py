"""Images of every kind of file, as a viewer shows them, or refused."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from pipeline.media.still import read_image, read_pixels, rgba
from pipeline.shards.record import Rejected

WIDTH, HEIGHT = 48, 32
GREY = np.tile(np.linspace(0, 255, WIDTH).round().astype(np.uint8), (HEIGHT, 1))
COLOURS = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
COLOURS[8:, :16], COLOURS[8:, 16:32], COLOURS[8:, 32:] = (200, 30, 30), (30, 200, 30), (30, 30, 200)
ONE, OTHER = Image.fromarray(COLOURS), Image.fromarray(COLOURS[::-1].copy())
LEFT_HIDDEN = Image.fromarray(np.where(np.arange(WIDTH) < 16, 0, 255).astype(np.uint8)[None].repeat(HEIGHT, 0))


def shown(image: Image.Image, kind: str, **options: object) -> np.ndarray:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return read_image(buffer.getvalue(), 0.0, 0).pixels.astype(int)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "MPO"])
def test_every_orientation(kind: str, orientation: int) -> None:
    facts = Image.Exif()
    facts[0x0112] = orientation
    upright = ONE.copy()
    upright.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(upright)).astype(int)
    found = shown(ONE, kind, exif=facts, quality=95)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 6


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True, "restart_marker_rows": 1}]
)
def test_every_way_of_writing_a_jpeg(options: dict) -> None:
    assert np.abs(shown(ONE, "JPEG", quality=95, **options) - COLOURS).mean() < 6


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_several_images_the_first_is_shown(kind: str) -> None:
    assert np.abs(shown(ONE, kind, save_all=True, append_images=[OTHER], lossless=True) - COLOURS).max() <= 1


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("WEBP", {"quality": 95})])
def test_what_is_transparent_shows_white(kind: str, options: dict) -> None:
    image = ONE.copy()
    image.putalpha(LEFT_HIDDEN)
    found = shown(image, kind, **options)
    assert (found[:, :14] >= 250).all()
    assert np.abs(found[:, 18:] - COLOURS[:, 18:]).mean() < 12


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "I;16"])
def test_a_transparent_colour_shows_white(mode: str) -> None:
    clear = {"L": 0, "RGB": (200, 30, 30), "P": 1, "1": 0, "I;16": 0}[mode]
    image = {
        "L": Image.fromarray(np.where(GREY < 99, 0, GREY)), "RGB": ONE,
        "1": Image.fromarray(GREY).convert("1", dither=0),
        "P": ONE.quantize(4), "I;16": Image.fromarray(np.where(GREY < 99, 0, GREY).astype(np.uint16) * 257),
    }[mode]  # fmt: skip
    found, plain = shown(image, "PNG", transparency=clear), shown(image, "PNG")
    changed = (found != plain).any(axis=2)
    assert changed.any()
    assert (found[changed] == 255).all()


def test_colours_of_cut_outs_are_kept_apart_from_how_much_of_them_is_seen() -> None:
    alpha = GREY.copy()
    cut, deep = ONE.copy(), Image.fromarray(GREY.astype(np.uint16) * 257)
    cut.putalpha(Image.fromarray(alpha))
    for image, options, colours, seen in (
        (cut, {}, COLOURS, alpha),
        (deep, {"transparency": 0}, GREY[..., None], np.where(GREY == 0, 0, 255)),
    ):
        image.save(buffer := io.BytesIO(), "PNG", **options)
        found = read_pixels(buffer.getvalue(), rgba).astype(int)
        assert (found[..., 3] == seen).all()
        assert np.abs(found[..., :3] - colours).max() <= 1


def test_greys_of_16_and_1_bits() -> None:
    assert np.abs(shown(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG") - GREY[..., None]).max() <= 1
    bits = Image.fromarray(GREY > 99)
    for kind in ("PNG", "BMP"):
        assert (shown(bits, kind) == np.where(GREY > 99, 255, 0)[..., None]).all()


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw"])
@pytest.mark.parametrize("mode", ["RGB", "CMYK", "F", "I;16"])
def test_a_form_that_is_not_read_is_named(mode: str, compression: str) -> None:
    image = (
        Image.fromarray(GREY.astype(np.uint16))
        if mode == "I;16"
        else ONE.convert("L" if mode == "F" else mode).convert(mode)
    )
    with pytest.raises(Rejected, match="no image of the forms JPEG, PNG, WEBP, BMP"):
        shown(image, "TIFF", **({} if mode in ("F", "I;16") else {"compression": compression}))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "I;16"])
def test_samples_of_another_gamma_are_shown_as_viewers_do(mode: str) -> None:
    """PNG's gAMA of 1.0: samples count light. Beside an sRGB chunk, or of a screen's gamma, it changes nothing."""
    grey = Image.fromarray(np.full((48, 64), 64, np.uint8))
    image = Image.fromarray(np.full((48, 64), 64 * 257, np.uint16)) if mode == "I;16" else grey.convert(mode)
    for gamma, chunk, expected in ((1.0, None, 136), (1.0, b"sRGB", 64), (1 / 2.2, None, 64)):
        content = _with_gamma(image, gamma, chunk)
        assert np.abs(read_image(content, 0.0, 0).pixels.astype(int) - expected).max() <= 1


def _with_gamma(image: Image.Image, gamma: float, chunk: bytes | None) -> bytes:
    extra = PngInfo()
    extra.add(b"gAMA", round(gamma * 100000).to_bytes(4))
    if chunk:
        extra.add(chunk, b"\0")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=extra)
    return buffer.getvalue()
