"""Image files of others: only formats of pixels, and only up to a size: a few bytes can claim a billion."""

import warnings
from typing import TYPE_CHECKING, BinaryIO

from manifests.given_files import TooLarge

if TYPE_CHECKING:
    from PIL import Image

LONGEST_SIDE, MOST_PIXELS = 8192, 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")  # others are programs (EPS) or ask for one


def open_image(handle: BinaryIO, formats: tuple[str, ...] = FORMATS) -> "Image.Image":
    """An image, its size checked and nothing of it decoded yet.

    Raises TooLarge, and ValueError for what is no image of these formats. To decode it raises OSError, SyntaxError or
    ValueError where it is damaged.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(handle, formats=formats)
    except UnidentifiedImageError as error:
        raise ValueError("it is no image") from error
    except Image.DecompressionBombError as error:
        raise TooLarge(f"it has more than twice the {MOST_PIXELS:,} pixels that are read of an image") from error
    check_size(*image.size)
    return image


def check_size(width: int, height: int) -> None:
    """TooLarge for an image above LONGEST_SIDE a side or MOST_PIXELS in all."""
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise TooLarge(
            f"it has {width} x {height} pixels; {LONGEST_SIDE:,} a side and {MOST_PIXELS:,} in all are the most"
        )
