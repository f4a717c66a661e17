"""Image files of others: only formats of pixels, and only up to a size: a few bytes can claim a billion."""

import warnings
from typing import TYPE_CHECKING, BinaryIO

from manifests.files.given import TooLarge

if TYPE_CHECKING:
    from PIL import Image

FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of a JPEG that say how large it is
FULL = 255  # light of 8 bits
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


def is_reduced(image: "Image.Image") -> bool:
    """Whether Pillow makes 8 bits a channel of the file's 16 and loses the lower ones; to be asked before it decodes.
    It keeps them all where there is one channel."""
    if image.mode.startswith(("I", "F")):
        return False
    return any(";16" in str(args) or _is_deep(args) for _, _, _, args in getattr(image, "tile", ()))


def _is_deep(args: object) -> bool:
    """Of a PPM: its way of writing, and the number that is full light."""
    return isinstance(args, tuple) and len(args) == 2 and isinstance(args[1], int) and args[1] > FULL


def check_size(width: int, height: int) -> None:
    """TooLarge for an image above LONGEST_SIDE a side or MOST_PIXELS in all."""
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise TooLarge(
            f"it has {width} x {height} pixels; {LONGEST_SIDE:,} a side and {MOST_PIXELS:,} in all are the most"
        )


def check_jpeg(content: bytes) -> None:
    """`check_size` by a JPEG's header, for decoders that ask for memory first; what is no JPEG is theirs to refuse."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        kind, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if kind in FRAME_HEADERS:
            check_size(int.from_bytes(content[at + 7 : at + 9]), int.from_bytes(content[at + 5 : at + 7]))
            return
        at += 2 + length
