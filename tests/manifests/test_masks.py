"""Pixel masks: right in every form a file can say them in, or refused; never the whole image instead."""

import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from manifests.class_maps import load_classes
from manifests.errors import InputError
from manifests.masks import load_grey_mask, load_mask
from manifests.pixels import SIZE

HEIGHT, WIDTH = 24, 40
OBJECT = np.zeros((HEIGHT, WIDTH), bool)
OBJECT[5:15, 8:20] = True
SECOND = np.zeros((HEIGHT, WIDTH), bool)
SECOND[2:9, 25:35] = True
BOTH = OBJECT * 1 + SECOND * 2


def grey(inside: int, dtype: type = np.uint8) -> Image.Image:
    return Image.fromarray(np.where(OBJECT, inside, 0).astype(dtype))


def with_alpha(colour: np.ndarray, alpha: np.ndarray) -> Image.Image:
    channels = [np.broadcast_to(colour, (HEIGHT, WIDTH, colour.shape[-1])), alpha[:, :, None]]
    return Image.fromarray(np.concatenate(channels, axis=2).astype(np.uint8))


def palette(indices: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette([value for colour in colours for value in colour])
    return image


WHITE, BLACK, RED, GREEN = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 200, 0)
ALPHA = np.where(OBJECT, 255, 0)
FORMS = {
    "grey, 255": grey(255),
    "grey, 1": grey(1),
    "one bit": Image.fromarray(OBJECT),
    "16 bits, dark": grey(1, np.uint16),
    "16 bits, 256": grey(256, np.uint16),
    "16 bits, white": grey(65535, np.uint16),
    "RGB on black": Image.fromarray(np.where(OBJECT[..., None], RED, 0).astype(np.uint8)),
    "alpha alone, white": with_alpha(np.array([[WHITE]]), ALPHA),
    "alpha alone, black": with_alpha(np.array([[BLACK]]), ALPHA),
    "alpha and colour": with_alpha(np.where(OBJECT[..., None], RED, 0), ALPHA),
    "alpha, colours differ": with_alpha(np.where(OBJECT[..., None], RED, GREEN), ALPHA),
    "opaque alpha": with_alpha(np.where(OBJECT[..., None], RED, 0), np.full((HEIGHT, WIDTH), 255)),
    "grey and alpha": with_alpha(np.array([[[255]]]), ALPHA),
    "grey and opaque alpha": with_alpha(np.where(OBJECT[..., None], 255, 0), np.full((HEIGHT, WIDTH), 255)),
    "palette on black": palette(OBJECT, BLACK, RED),
    "palette on white": palette(OBJECT, WHITE, RED),
    "palette all black": palette(OBJECT, BLACK, BLACK),
    "palette on grey": palette(OBJECT, (128, 128, 128), RED),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_object_and_nothing_else_is_in_the_mask(tmp_path: Path, form: str) -> None:
    FORMS[form].save(tmp_path / "mask.png")
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.png", None), OBJECT)
    assert load_mask(tmp_path / "mask.png", SIZE).shape == (224, 224)
    assert load_mask(tmp_path / "mask.png", SIZE).mean() == pytest.approx(OBJECT.mean(), abs=0.03)


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_a_transparent_index_is_the_background(tmp_path: Path, transparency: int | bytes) -> None:
    palette(OBJECT, WHITE, BLACK).save(tmp_path / "mask.png", transparency=transparency)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.png", None), OBJECT)


def test_a_transparent_index_other_than_0_is_the_background_too(tmp_path: Path) -> None:
    palette(~OBJECT, RED, WHITE).save(tmp_path / "mask.png", transparency=1)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.png", None), OBJECT)


def test_a_transparent_colour_is_the_background(tmp_path: Path) -> None:
    Image.fromarray(np.where(OBJECT[..., None], RED, WHITE).astype(np.uint8)).save(
        tmp_path / "mask.png", transparency=WHITE
    )
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.png", None), OBJECT)


def test_several_objects_are_one_mask(tmp_path: Path) -> None:
    palette(BOTH, WHITE, RED, GREEN).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.png", None), BOTH > 0)


GREY, INVERSE = grey(255), Image.fromarray(np.where(OBJECT, 0, 255).astype(np.uint8))
SHADES = np.where(OBJECT, np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 199 + 1, 0)
OTHER_FILES = {  # image, format, options
    "TIFF": (GREY, "TIFF", {}), "TIFF, tiled or packed": (GREY, "TIFF", {"compression": "tiff_lzw"}),
    "TIFF, one bit": (Image.fromarray(OBJECT), "TIFF", {"compression": "group4"}),
    "TIFF, 32 bits": (grey(7, np.int32), "TIFF", {}), "TIFF, fractions": (grey(1, np.float32), "TIFF", {}),
    "TIFF, grey and alpha": (Image.merge("LA", (GREY, GREY)), "TIFF", {}), "BMP": (GREY, "BMP", {}),
    "TIFF, CMYK": (FORMS["RGB on black"].convert("CMYK"), "TIFF", {}), "GIF": (GREY, "GIF", {}),
    "PPM": (GREY, "PPM", {}),
    "WebP without loss": (FORMS["RGB on black"], "WEBP", {"lossless": True}),
    "VOC with its void": (palette(np.where(SECOND, 255, OBJECT), BLACK, *[RED] * 254, (224, 224, 192)), "PNG", {}),
    "edges": (Image.fromarray((OBJECT * np.where(np.roll(OBJECT, 1, 1), 255, 90)).astype(np.uint8)), "PNG", {}),
}  # fmt: skip


@pytest.mark.parametrize("form", OTHER_FILES)
def test_every_other_kind_of_file(tmp_path: Path, form: str) -> None:
    image, kind, options = OTHER_FILES[form]
    image.save(tmp_path / "mask.png", kind, **options)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.png", None), OBJECT)


@pytest.mark.parametrize(("kind", "quality"), [("JPEG", 95), ("JPEG", 50), ("WEBP", 80), ("WEBP", 40), ("MPO", 75)])
def test_with_loss_only_black_and_white_are_told_apart(tmp_path: Path, kind: str, quality: int) -> None:
    large = np.kron(OBJECT, np.ones((8, 8), bool))
    Image.fromarray(np.where(large, 255, 0).astype(np.uint8)).convert("RGB").save(
        tmp_path / "m.png", kind, quality=quality
    )
    assert np.mean(load_mask(tmp_path / "m.png", None) != large) < 0.002
    for colour in ((0, 0, 160), (200, 0, 0), (20, 20, 20), (90, 90, 90)):
        Image.fromarray((large[..., None] * colour).astype(np.uint8)).save(tmp_path / "m.png", kind, quality=quality)
        with pytest.raises(InputError, match="changes what was drawn"):
            load_mask(tmp_path / "m.png", SIZE)


def test_a_mask_is_turned_as_its_frame_is(tmp_path: Path) -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6
    GREY.save(tmp_path / "mask.png", exif=orientation)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.png", None), np.rot90(OBJECT, -1))


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_several_images_in_a_file_are_refused(tmp_path: Path, kind: str) -> None:
    GREY.save(
        tmp_path / "mask.png",
        kind,
        save_all=True,
        append_images=[INVERSE],
        **{"lossless": True} if kind == "WEBP" else {},
    )
    with pytest.raises(InputError, match="it holds 2 images"):
        load_mask(tmp_path / "mask.png", SIZE)


def deep(kind: str, channels: np.ndarray) -> bytes:
    """uint16 (H, W, C) as a PNG of 2 (grey, alpha), 3 or 4 channels, or of 3 as a PPM: Pillow writes none."""
    height, width, count = channels.shape
    rows = channels.astype(">u2").tobytes()
    if kind == "PPM":
        return b"P6 %d %d 65535\n" % (width, height) + rows
    step = width * count * 2
    lines = b"".join(b"\0" + rows[at : at + step] for at in range(0, len(rows), step))
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[count], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    made = (struct.pack(">I", len(one)) + name + one + struct.pack(">I", zlib.crc32(name + one)) for name, one in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


@pytest.mark.parametrize(("kind", "count"), [("PNG", 2), ("PNG", 3), ("PNG", 4), ("PPM", 3)])
@pytest.mark.parametrize("value", [1, 200, 65535])
def test_16_bits_in_several_channels_are_refused(tmp_path: Path, kind: str, count: int, value: int) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(deep(kind, np.repeat(np.where(OBJECT, value, 0)[:, :, None], count, axis=2)))
    for load in (load_mask, partial(load_grey_mask, light_from=128)):
        with pytest.raises(InputError, match="16 bits in each of several channels"):
            load(path, size=SIZE)
    for coding in ("avss", "ade20k"):
        with pytest.raises(InputError, match="no colours of 8 bits a channel"):
            load_classes(path, coding)


@pytest.mark.parametrize("image", [grey(1), grey(100), palette(OBJECT, BLACK, (128, 0, 0))])
def test_masks_without_loss_that_are_too_dark_to_count_are_refused(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="no pixel is as light as 128"):
        load_grey_mask(tmp_path / "mask.png", 128, SIZE)
    image.convert("L").save(tmp_path / "mask.jpg", quality=95)
    assert not load_grey_mask(tmp_path / "mask.jpg", 128, SIZE).any()  # of one with loss nobody can say
    for same in (grey(0), grey(128), grey(255), Image.fromarray(OBJECT)):
        same.save(tmp_path / "mask.png")
        assert load_grey_mask(tmp_path / "mask.png", 128, SIZE).any() == (same.getextrema()[1] > 0)


@pytest.mark.parametrize("image", [grey(3), grey(273, np.uint16), palette(OBJECT, BLACK, RED), Image.fromarray(OBJECT)])
def test_classes_of_ade20k_are_colours(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "classes.png")
    with pytest.raises(InputError, match="no colours of 8 bits"):
        load_classes(tmp_path / "classes.png", "ade20k")


@pytest.mark.parametrize("value", [0, 255])
def test_nothing_and_everything_are_masks_too(tmp_path: Path, value: int) -> None:
    Image.fromarray(np.full((HEIGHT, WIDTH), value, np.uint8)).save(tmp_path / "mask.png")
    assert load_mask(tmp_path / "mask.png", None).mean() == bool(value)


@pytest.mark.parametrize(
    ("image", "options", "why"),
    [
        (palette(OBJECT, WHITE, BLACK), {}, "black, the usual background, is not index 0"),
        (palette(~OBJECT, RED, WHITE), {}, "white may be the background"),
        (palette(OBJECT + 1, BLACK, WHITE, RED), {}, "white may be the background"),
        (palette(BOTH, BLACK, RED, GREEN), {"transparency": 2}, "index 0 of its palette is opaque"),
        (Image.fromarray(np.where(OBJECT[..., None], RED, WHITE).astype(np.uint8)), {}, "no pixel is black"),
        (Image.fromarray(np.where(OBJECT, 9, 255).astype(np.uint8)), {}, "no pixel is black"),
        (Image.fromarray(np.where(OBJECT, 9, 65535).astype(np.uint16)), {}, "no pixel is black"),
        (with_alpha(np.where(SECOND[..., None], RED, 0), np.where(BOTH > 0, 255, 0)), {}, "some black"),
        (with_alpha(np.where(OBJECT[..., None], RED, 0), np.zeros((HEIGHT, WIDTH))), {}, "transparent everywhere"),
        (with_alpha(np.array([[WHITE]]), np.where(OBJECT, 255, 90)), {}, "its transparency varies"),
        (palette(OBJECT + 1, BLACK, RED, GREEN), {}, "is not used"),
        (Image.fromarray(np.where(OBJECT[..., None], RED, GREEN).astype(np.uint8)), {}, "no pixel is black"),
        (Image.fromarray(np.where(OBJECT, 200, 10).astype(np.uint8)), {}, "no pixel is black"),
        (Image.fromarray((OBJECT + 1).astype(np.uint16)), {}, "no pixel is black"),
        (Image.fromarray(SHADES.astype(np.uint8)), {}, "as a map of probabilities has"),
        (
            Image.fromarray(np.where(OBJECT, 0.7, np.where(SECOND, 0.2, 0)).astype(np.float32)),
            {"format": "TIFF"},
            "2 diff",
        ),
        (Image.fromarray(np.where(OBJECT, np.nan, 0).astype(np.float32)), {"format": "TIFF"}, "no numbers"),
        (Image.fromarray(np.where(OBJECT, -1, 0).astype(np.int32)), {"format": "TIFF"}, "negative"),
    ],
)
def test_what_means_two_things_is_refused(tmp_path: Path, image: Image.Image, options: dict, why: str) -> None:
    image.save(tmp_path / "mask.png", **options)
    with pytest.raises(InputError, match=f"more than one way: .*{why}.*Store it again"):
        load_mask(tmp_path / "mask.png", SIZE)
