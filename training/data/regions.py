"""Region proposals of a frame as a view of it shows them: shifted, cut and mirrored with the image, and sorted out."""

import numpy as np
import torch
from torchvision.ops import nms

from manifests.annotations import Box

SMALLEST_REST = 0.3  # of a region's area that a view must show
AREAS = (0.01, 0.9)  # of the view: smaller regions are specks, larger ones say nothing
SMALLEST_SIDE = 16 / 224  # of the view
SAME = 0.95  # IoU from which two regions are one
MOST = 300


def in_view(boxes: np.ndarray, part: Box, flipped: bool) -> np.ndarray:
    """Regions (n, 4) of a frame as fractions of a part of it: cut at its borders, without those mostly outside."""
    left, top, right, bottom = part
    size = np.array([right - left, bottom - top] * 2)
    moved = (boxes - np.array([left, top, left, top])) / size
    cut = moved.clip(0, 1)
    before, after = _areas(moved), _areas(cut)
    cut = cut[after >= SMALLEST_REST * np.maximum(before, 1e-12)]
    return cut[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [1, 0, 1, 0] if flipped else cut


def usable(boxes: np.ndarray) -> np.ndarray:
    """Regions (n, 4) worth ranking: of usable size, none twice, at most 300, evenly taken from all sizes."""
    sides = boxes[:, 2:] - boxes[:, :2]
    area = _areas(boxes)
    fitting = (area >= AREAS[0]) & (area <= AREAS[1]) & (sides >= SMALLEST_SIDE - 1e-9).all(axis=1)
    kept = _distinct(boxes[fitting])
    if len(kept) <= MOST:
        return kept
    by_size = np.argsort(_areas(kept), kind="stable")
    return kept[np.sort(by_size[np.linspace(0, len(kept) - 1, MOST).round().astype(int)])]


def _distinct(boxes: np.ndarray) -> np.ndarray:
    """Without regions that nearly repeat an earlier, better one."""
    ranked = torch.from_numpy(boxes)
    return boxes[nms(ranked, torch.arange(len(ranked), 0, -1).to(ranked), SAME).numpy()]


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
