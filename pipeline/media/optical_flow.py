"""Optical flow between two images: where what is seen has moved to, by Farneback's method as Hear the Flow uses it."""

from typing import TYPE_CHECKING

from pipeline.media.proposals import without_opencv

if TYPE_CHECKING:
    import numpy as np

CELL = 4  # pixels of the image a stored cell is wide; the method itself looks at windows of 15


def check_optical_flow(option: str) -> None:
    """InputError when the library that computes it is not there, which names the option that asks for it."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise without_opencv(option, error) from error


def optical_flow(image: "np.ndarray", later: "np.ndarray", seconds: float) -> "np.ndarray":
    """Two uint8 (H, W, 3) RGB, so many seconds apart -> float16 (2, h, w), a cell for each 4 pixels a side: how fast
    what is seen there moves right and down, in widths and heights of the image a second.

    Farneback (SCIA 2003) with the options of Hear the Flow's released code: 3 levels of 0.5, windows of 15, 3 rounds.
    """
    import cv2
    import numpy as np

    grey, next_grey = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (image, later))
    moved = cv2.calcOpticalFlowFarneback(grey, next_grey, np.zeros((0, 0), np.float32), 0.5, 3, 15, 3, 5, 1.2, 0)
    height, width = grey.shape
    cells = (max(1, round(width / CELL)), max(1, round(height / CELL)))
    small = cv2.resize(moved, cells, interpolation=cv2.INTER_AREA)
    return (small / (np.array([width, height]) * seconds)).transpose(2, 0, 1).astype(np.float16)
