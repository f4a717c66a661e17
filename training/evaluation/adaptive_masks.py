"""mIoU and F on pixel masks at the truth's own area (SSLalignment b4339aa, the July 2024 release's mask evaluator).

Its oddities, kept here: a strict threshold at rank N - n leaves n - 1 pixels; a frame without truth is given n = half
its batch's size, counted in frames, and scores the share of background predicted as background; F has a curve over 255
thresholds of a mask that is already binary, so it has two values, and everything predicted is one of them: the result
never lies below that. `everything` is that baseline.
"""

from typing import Literal

import numpy as np

from manifests.pixels import level_of
from training.evaluation.segmentation import BETA_SQUARED, mask_iou, mean_over_batches

BATCH = 64
EmptyMask = Literal["half_of_batch", "half_of_image"]


def adaptive_mask(high: np.ndarray, pixels: int) -> np.ndarray:
    """bool (H, W): the pixels of an enlarged map above the value at rank N - pixels of the ascending order.

    ValueError for no pixel, where the released code stops with an index out of bounds.
    """
    if pixels < 1:
        raise ValueError("a mask of no pixel has no threshold (released code stops at a batch of one empty frame)")
    return high > level_of(high.ravel(), pixels)


def adaptive_masks(
    high: np.ndarray, truth: np.ndarray, batch: int = BATCH, least: int = 0, empty: EmptyMask = "half_of_batch"
) -> np.ndarray:
    """bool (F, H, W) of maps (F, H, W) at the area of their truths (F, H, W), in batches of the released loader.

    `least`: pixels that an empty frame is given at least. ValueError where it is given none.
    """
    areas = asked_areas(truth, batch, least, empty)
    return np.stack([adaptive_mask(one, int(area)) for one, area in zip(high, areas, strict=True)])


def asked_areas(
    truth: np.ndarray, batch: int = BATCH, least: int = 0, empty: EmptyMask = "half_of_batch"
) -> np.ndarray:
    """int (F,): the pixels of truths (F, H, W), for an empty one half the number of frames in its batch.

    `empty`: "half_of_image" for the evaluator of boxes, which gives such a frame half of its pixels.
    """
    areas = truth.reshape(len(truth), -1).sum(axis=1)
    if empty == "half_of_image":
        return np.where(areas > 0, areas, truth[0].size // 2)
    sizes = [min(batch, len(truth) - start) for start in range(0, len(truth), batch)]
    given = np.repeat([max(size // 2, least) for size in sizes], sizes)
    return np.where(areas > 0, areas, given)


def f_of_masks(masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 (F,): F with beta squared 0.3 of each binary mask, 0 where nothing is hit."""
    masks, truth = masks.reshape(len(masks), -1), truth.reshape(len(truth), -1)
    hits, predicted, real = (each.sum(axis=1) for each in (masks & truth, masks, truth))
    bottom = BETA_SQUARED * real + predicted
    return np.divide((1 + BETA_SQUARED) * hits, bottom, out=np.zeros(len(masks)), where=bottom > 0)


def mask_scores(masks: np.ndarray, truth: np.ndarray, batch: int = BATCH) -> dict[str, float]:
    """mIoU as the mean of batch means and over frames, F as released, of the masks themselves, and of everything."""
    iou, seen = mask_iou(masks, truth), truth.reshape(len(truth), -1).any(axis=1)
    own = float(f_of_masks(masks[seen], truth[seen]).mean()) if seen.any() else 0.0
    everything = float(f_of_masks(np.ones_like(truth[seen]), truth[seen]).mean()) if seen.any() else 0.0
    return {
        "miou": mean_over_batches(iou, batch),
        "miou_textbook": float(iou.mean()),
        "f": max(own, everything),
        "f_textbook": own,
        "f_everything": everything,
    }
