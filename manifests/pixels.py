"""Boxes as pixels of a square frame, and the arithmetic of floors and ceilings: what answers reach that know nothing.

Protocols, which say how many pixels an answer has, stand in `training.evaluation`; the makers of corpora
(`pipeline.synth`, `pipeline.compose`) measure with the same arithmetic what a corpus is worth.
"""

from collections.abc import Iterable

import numpy as np

from manifests.annotations import WHOLE, Box
from manifests.views import inside

SIZE = 224
_SLACK = 1e-6  # pixels: a border on a pixel's edge must not fall before it by the last bit of a division


def pixel_box(box: Box, size: int = SIZE, shown: Box = WHOLE) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 in pixels of a `size` x `size` frame, upper ends excluded; computed in float64.

    `shown`: the part of the frame that these pixels show.
    """
    slack = 0.0 if shown == WHOLE else _SLACK
    x1, y1, x2, y2 = (int(size * min(max(value, 0.0), 1.0) + slack) for value in inside(box, shown))
    return x1, y1, x2, y2


def box_votes(boxes: Iterable[Box], size: int = SIZE, shown: Box = WHOLE) -> np.ndarray:
    """float32 (size, size): how many boxes cover each pixel."""
    votes = np.zeros((size, size), np.float32)
    for box in boxes:
        x1, y1, x2, y2 = pixel_box(box, size, shown)
        votes[y1:y2, x1:x2] += 1
    return votes


def disc_map() -> np.ndarray:
    """float32 (SIZE, SIZE): minus the squared distance to the centre, which under top half becomes 25,100 pixels."""
    offset = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    return -(offset[:, None] ** 2 + offset[None, :] ** 2)


def level_of(values: np.ndarray, count: int) -> np.generic:
    """The value that `count` of the values (N,) reach, when all are distinct; more reach it where it is tied."""
    rank = len(values) - count
    return np.partition(values, rank)[rank]


def best_ciou(weights: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """float64 (N,): the largest cIoU on truth weights (N, H, W) of an answer of `predicted` pixels, int (N,)."""
    flat = weights.reshape(len(weights), -1)
    total, support = flat.sum(axis=1, dtype=np.float64), (flat > 0).sum(axis=1)
    inside_truth = np.array([_heaviest(row, count) for row, count in zip(flat, predicted, strict=True)])
    union = total + np.maximum(predicted - support, 0)
    return np.divide(inside_truth, union, out=np.zeros_like(union), where=union > 0)


def _heaviest(row: np.ndarray, count: int) -> float:
    """Sum of the `count` largest weights of one flat truth map; weights take a handful of values, so levels suffice."""
    values, counts = np.unique(row[row > 0], return_counts=True)
    taken = np.diff(np.minimum(np.cumsum(counts[::-1]), count), prepend=0)
    return float(values[::-1].astype(np.float64) @ taken)
