"""Box proposals of a stored frame: Selective Search, as the proposal-based paradigm uses it."""

import ctypes
from typing import TYPE_CHECKING

from manifests.commands.extras import how_to_install
from manifests.errors import InputError

if TYPE_CHECKING:
    import numpy as np

MOST_PROPOSALS = 2000


def check_proposals() -> None:
    """InputError when the library that searches is not there."""
    try:
        from cv2.ximgproc import segmentation

        segmentation.createSelectiveSearchSegmentation  # noqa: B018  # absent from OpenCV without its contrib modules
    except (ImportError, AttributeError) as error:
        raise without_opencv("--proposals", error) from error


def without_opencv(option: str, error: Exception) -> InputError:
    """What to say of an option where the library is not there."""
    return InputError(f"{option} needs OpenCV with its contrib modules ({error}). {how_to_install('proposals')}")


def selective_search(image: "np.ndarray") -> "np.ndarray":
    """uint8 (H, W, 3) RGB -> float32 (n, 4): x1, y1, x2, y2 as fractions of the image, at most 2000, best first.

    Selective Search (Uijlings et al., IJCV 2013), OpenCV's fast setting. It ranks with the C library's random numbers,
    so these start anew for every image.
    """
    import cv2
    import numpy as np
    from cv2.ximgproc import segmentation

    cv2.setNumThreads(1)
    ctypes.CDLL(None).srand(0)
    search = segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(image[:, :, ::-1]))
    search.switchToSelectiveSearchFast()
    boxes = np.asarray(search.process(), np.float32).reshape(-1, 4)[:MOST_PROPOSALS]
    boxes[:, 2:] += boxes[:, :2]
    height, width = image.shape[:2]
    return boxes / np.array([width, height, width, height], np.float32)
