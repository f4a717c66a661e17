"""Pixel masks from image files: which pixels belong to an object, whatever form the file says it in.

A mask is drawn in light or colour on black, in indices other than 0 of a palette (VOC's void is none of them), or in
what is not transparent. A file that could mean two things (a background that is not black, a palette whose order
contradicts its colours, shades as a map of probabilities has them) is refused: read wrongly it would count the whole
image as sounding. One that was stored with loss is never quite black: it must be black and white.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from manifests.annotations import WHOLE, Box
from manifests.errors import InputError
from manifests.files.given import opened, understood
from manifests.files.images import is_reduced, open_image

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Colour = tuple[int, ...]
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
OPAQUE = 255
VOID = (224, 224, 192)  # the colour of index 255 of PASCAL VOC: the rim of an object, that is neither in nor out
WITHOUT_LOSS, SCANNED = b"VP8L", 4096  # how a WebP's image is marked, in so many of its first bytes
MOST_SHADES, MAIN_SHARE = 64, 0.5  # of a mask: its objects have few values, and only their edges others
NEARLY_BLACK, DARK, LIGHT = 8, 32, 191
CLEAR_SHARE = 0.9  # of a mask with loss: so much of it is dark or light


def load_mask(path: Path, size: int | None, shown: Box = WHOLE) -> "np.ndarray":
    """bool (size, size): pixels of an object, nearest-neighbour resized where the file differs in size.

    `size` None keeps the file's own (height, width). `shown`: the part of the mask that becomes the result (see
    `manifests.views`). InputError when it cannot be read, or means two things.
    """
    import numpy as np
    from PIL import Image, ImageOps

    remedy = "Unpack the masks again."
    with understood(f"The mask {path}", remedy=remedy), opened(path) as handle, open_image(handle) as file:
        _check_depth(file, path)
        file.load()
        if getattr(file, "n_frames", 1) > 1 and file.format != "MPO":
            raise _two_meanings(path, f"it holds {file.n_frames} images")  # pyrefly: ignore[missing-attribute]
        handle.seek(0)
        lossy = _has_loss(file, handle.read(SCANNED))
        mask = _with_loss(file, path) if lossy else _mask(ImageOps.exif_transpose(file), path)
    if size is None or (mask.shape == (size, size) and shown == WHOLE):
        return mask
    image = Image.fromarray(mask.astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.NEAREST, box=cut_out(image, shown))).astype(bool)


def load_grey_mask(path: Path, light_from: int, size: int, shown: Box = WHOLE) -> "np.ndarray":
    """bool (size, size): pixels at least as light as `light_from` after resizing, for masks that were stored as jpg,
    where hardly any pixel stays black. Else as `load_mask`; shades of more than 8 bits, transparency, and what was
    drawn without loss in darker shades alone (numbers of classes, colours of a palette) are refused.
    """
    import numpy as np
    from PIL import Image, ImageOps

    remedy = "Unpack the masks again."
    with understood(f"The mask {path}", remedy=remedy), opened(path) as handle, open_image(handle) as file:
        _check_depth(file, path)
        grey = _grey(ImageOps.exif_transpose(file), path)
        handle.seek(0)
        lossy = _has_loss(file, handle.read(SCANNED))
    if not lossy and 0 < np.asarray(grey).max() < light_from:
        raise _two_meanings(path, f"it is not all black, but no pixel is as light as {light_from}, as objects are here")
    if grey.size != (size, size) or shown != WHOLE:
        grey = grey.resize((size, size), Image.Resampling.BILINEAR, box=cut_out(grey, shown))
    return np.asarray(grey) >= light_from


def _check_depth(image: "Image.Image", path: Path) -> None:
    if is_reduced(image):
        raise _two_meanings(path, "it has 16 bits in each of several channels, of which 8 are read")


def _grey(image: "Image.Image", path: Path) -> "Image.Image":
    """Shades from 0 to 255. Pillow itself takes all shades of 16 bits above 255 for white."""
    if image.mode == "F" or image.mode.startswith("I"):
        raise _two_meanings(path, "its shades have more than 8 bits, and which of them is white nothing says")
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (OPAQUE, OPAQUE):
        raise _two_meanings(path, "some of it is transparent, and lightness is to say what sounds")
    return image.convert("L")


def cut_out(image: "Image.Image", shown: Box) -> tuple[float, float, float, float]:
    """The part of an image that is shown (fractions), in its pixels."""
    x1, y1, x2, y2 = shown
    return x1 * image.width, y1 * image.height, x2 * image.width, y2 * image.height


def _mask(image: "Image.Image", path: Path) -> "np.ndarray":
    import numpy as np

    if image.mode == "P":
        return _of_palette(image, path)
    if image.has_transparency_data:
        return _of_alpha(np.asarray(image.convert("RGBA")), path)
    if image.mode == "F" or image.mode.startswith("I"):  # 16 and 32 bits a pixel
        return _of_colours(np.asarray(image)[:, :, None], path)
    return _of_colours(np.asarray(image.convert("RGB")), path)


def _has_loss(image: "Image.Image", beginning: bytes) -> bool:
    """Whether colours are only about those that were drawn."""
    if image.format == "WEBP":
        return WITHOUT_LOSS not in beginning
    return image.format in ("JPEG", "MPO") or image.info.get("compression") == "jpeg"


def _with_loss(image: "Image.Image", path: Path) -> "np.ndarray":
    import numpy as np
    from PIL import ImageOps

    values = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    brightest, light = values.max(axis=2), values.min(axis=2) > LIGHT
    if np.mean((brightest < DARK) | light) < CLEAR_SHARE or (not light.any() and brightest.max() > NEARLY_BLACK):
        raise _two_meanings(path, f"a {image.format} changes what was drawn, and this one is not black and white")
    return brightest > (DARK + LIGHT) // 2


def _of_colours(values: "np.ndarray", path: Path) -> "np.ndarray":
    """(H, W, channels): anything but black; refused where nothing is black and not everything is one object, and where
    values do not tell objects apart."""
    import numpy as np

    mask = np.any(values, axis=2)
    if mask.all() and not (values == values[0, 0]).all():
        raise _two_meanings(path, "no pixel is black, and which of its colours is the background nothing says")
    if values.dtype.kind in "if" and not (np.isfinite(values).all() and (values >= 0).all()):
        raise _two_meanings(path, "some of its values are negative or no numbers")
    _, times = np.unique(values[mask], axis=0, return_counts=True)
    are_shades = len(times) > MOST_SHADES and times.max() < MAIN_SHARE * times.sum()
    if are_shades or (values.dtype.kind == "f" and len(times) > 1 and (values != np.round(values)).any()):
        raise _two_meanings(path, f"it has {len(times)} different values, as a map of probabilities has")
    return mask


def _of_alpha(values: "np.ndarray", path: Path) -> "np.ndarray":
    """uint8 (H, W, 4): what is opaque; the colours where all is, or where all that is opaque has not one colour."""
    import numpy as np

    opaque, drawn = values[:, :, 3] > 0, np.any(values[:, :, :3], axis=2)
    if opaque.all():
        return _of_colours(values[:, :, :3], path) if (values[:, :, 3] == OPAQUE).all() else _faint(values, path)
    if not opaque.any() and drawn.any() and not drawn.all():
        raise _two_meanings(path, "it is transparent everywhere, but something is drawn in it")
    if drawn[opaque].any() and not drawn[opaque].all():
        raise _two_meanings(path, "some of it is transparent, and some black: either may be the background")
    return opaque


def _faint(values: "np.ndarray", path: Path) -> "np.ndarray":
    """Nothing is transparent, but not all is opaque: the colours say it, unless they say nothing."""
    if (values[:, :, :3] == values[0, 0, :3]).all() and not (values[:, :, 3] == values[0, 0, 3]).all():
        raise _two_meanings(path, "its transparency varies, but nothing of it is transparent")
    return _of_colours(values[:, :, :3], path)


def _of_palette(image: "Image.Image", path: Path) -> "np.ndarray":
    import numpy as np

    indices = np.asarray(image)
    used = {int(index) for index in np.unique(indices)}
    clear = _transparent(image, used)
    if clear:
        if 0 in used - clear and len(used - clear) > 1:
            raise _two_meanings(path, f"index 0 of its palette is opaque, and {sorted(clear)} transparent")
        return ~np.isin(indices, list(clear))
    colours = _colours(image, used)
    void = {index for index in used if index == OPAQUE and colours[index] == VOID}
    if reason := _doubt({index: colour for index, colour in colours.items() if index not in void}):
        raise _two_meanings(path, reason)
    return (indices != 0) & ~np.isin(indices, list(void))


def _transparent(image: "Image.Image", used: Collection[int]) -> set[int]:
    """Used indices that are not seen at all: one by number, or by the alpha of every index."""
    given = image.info.get("transparency")
    if isinstance(given, bytes):
        return {index for index in used if index < len(given) and given[index] == 0}
    return {index for index in used if index == given}


def _colours(image: "Image.Image", used: Collection[int]) -> dict[int, Colour]:
    flat = image.getpalette("RGB") or []
    return {index: tuple(flat[3 * index : 3 * index + 3]) or BLACK for index in used}


def _doubt(colours: dict[int, Colour]) -> str | None:
    """Why indices other than 0 may not be the objects, None where they are: colours must not contradict the order."""
    others = {colour for index, colour in colours.items() if index != 0}
    if len(set(colours.values())) == 1 or not others:
        return None
    if BLACK in others:
        return "black, the usual background, is not index 0 of its palette"
    background = colours.get(0)
    if WHITE in others and background != BLACK:
        return "white is not index 0 of its palette, and no black is used, so white may be the background"
    if background is None and len(others) > 1:
        return "index 0 of its palette, the usual background, is not used"
    return None


def _two_meanings(path: Path, why: str) -> InputError:
    return InputError(
        f"The mask {path} can be read in more than one way: {why}. Store it again in one channel: 0 where nothing "
        "sounds, 255 on the objects."
    )
