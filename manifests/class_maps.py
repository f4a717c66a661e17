"""A class for every pixel, from image files: the codings that released sets write classes in.

`avss`: 71 colours, the bits of a class dealt out to red, green and blue from the top (AVSBench-semantic, as in PASCAL
VOC); 0 is black and the background. `ade20k`: red / 10 * 256 + green (ADE20K's full annotation); 0 is no class.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from manifests.annotations import WHOLE, Box
from manifests.errors import InputError
from manifests.files.given import opened, understood
from manifests.files.images import is_reduced, open_image
from manifests.masks import cut_out

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

AVSS_CLASSES = 71


def load_classes(path: Path, coding: str, size: tuple[int, int] | None = None, shown: Box = WHOLE) -> "np.ndarray":
    """int64 (height, width): the class of every pixel, resized to `size` (height, width) without mixing classes.

    `shown`: the part of the frame that becomes the result. InputError when it cannot be read or holds what is no class.
    """
    import numpy as np
    from PIL import Image

    remedy = "Unpack them again."
    with understood(f"The classes {path}", remedy=remedy), opened(path) as handle, open_image(handle) as file:
        _check_form(file, coding, path)
        image = file.convert("RGB")
    if size is not None and (image.size != size[::-1] or shown != WHOLE):
        image = image.resize(size[::-1], Image.Resampling.NEAREST, box=cut_out(image, shown))
    return CODINGS[coding](np.asarray(image).astype(np.int64), path)


def _check_form(image: "Image.Image", coding: str, path: Path) -> None:
    """InputError for colours that are not read whole, and for ADE20K's that are none: grey would be some other class.
    What is no colour of AVSBench-semantic its table knows."""
    if is_reduced(image) or (coding == "ade20k" and image.mode != "RGB"):
        raise InputError(
            f"The classes {path} are no colours of 8 bits a channel (Pillow's {image.mode}), as {coding} writes them. "
            "Give the files as released."
        )


def avss_colours() -> "np.ndarray":
    """uint8 (71, 3): the colour of every class of AVSBench-semantic."""
    import numpy as np

    number = np.arange(AVSS_CLASSES)[:, None]
    bits = [(number >> np.array([3 * place, 3 * place + 1, 3 * place + 2])) & 1 for place in range(3)]
    shifted = [bit << (7 - place) for place, bit in enumerate(bits)]
    return np.bitwise_or.reduce(shifted).astype(np.uint8)


@cache
def _avss_table() -> "np.ndarray":
    """int64 (2**24,): class by colour as one number, -1 for no class."""
    import numpy as np

    table = np.full(1 << 24, -1, np.int64)
    table[_as_numbers(avss_colours().astype(np.int64))] = np.arange(AVSS_CLASSES)
    return table


def _as_numbers(colours: "np.ndarray") -> "np.ndarray":
    return (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]


def _avss(colours: "np.ndarray", path: Path) -> "np.ndarray":
    found = _avss_table()[_as_numbers(colours)]
    if (found < 0).any():
        red, green, blue = colours[found < 0][0].tolist()
        raise InputError(
            f"The classes {path} have the colour ({red}, {green}, {blue}), which is none of the {AVSS_CLASSES} of "
            "AVSBench-semantic. Give labels_rgb as released, not resized and not stored as jpg."
        )
    return found


def _ade20k(colours: "np.ndarray", _path: Path) -> "np.ndarray":
    return colours[..., 0] // 10 * 256 + colours[..., 1]


CODINGS: dict[str, Callable[["np.ndarray", Path], "np.ndarray"]] = {"avss": _avss, "ade20k": _ade20k}
