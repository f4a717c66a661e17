"""AVSBench S4 / MS3: mask IoU and F-score of soft predictions against binary masks, as coded and per data set.

The released F-score (AVSBench f7414af `avs_s4/utils/utility.py` `Eval_Fmeasure`) takes its maximum over thresholds
inside each batch and then averages over batches: the same 20 frames give 0.3213, 0.4854 or 0.4015 with batches of 5, 10
or 20. Published numbers use one video of 5 frames a batch; ACL-SSL takes the maximum once for the whole data set. Both
are reported here, and named. How cosine maps become probabilities is not published: min-max is used here.
"""

from typing import Any

import numpy as np

BETA_SQUARED = 0.3
FRAMES_PER_VIDEO = 5
# 255 float32 values, the last of which is exactly 1 because 1 - 1e-10 rounds to it
THRESHOLDS = np.linspace(0, 1 - 1e-10, 255).astype(np.float32)


def mask_iou(masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 (F,): IoU of bool masks and bool truth, both (F, H, W).

    A frame without truth scores the share of pixels predicted as background: 1 for an empty prediction (`mask_iou`).
    """
    masks, truth = masks.reshape(len(masks), -1), truth.reshape(len(truth), -1)
    intersection, union = (masks & truth).sum(axis=1), (masks | truth).sum(axis=1)
    background = (~masks & ~truth).sum(axis=1) / (masks.shape[1] + 1e-7)
    return np.where(truth.any(axis=1), intersection / (union + 1e-7), background)


def f_curves(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 (F, 255): F with beta^2 = 0.3 at each of THRESHOLDS, prediction = probability >= threshold.

    probabilities float32 (F, H, W) in [0, 1], truth bool (F, H, W). Rows of frames without truth are 0. ValueError for
    NaN, where the released code predicts nothing.
    """
    if np.isnan(probabilities).any():
        raise ValueError("the predicted probabilities hold NaN")
    return np.stack([_f_curve(*frame) for frame in zip(probabilities, truth, strict=True)])


def f_score(curves: np.ndarray, truth: np.ndarray, frames_per_batch: int | None = None) -> float:
    """The largest mean F over thresholds; frames without truth are left out of the mean.

    frames_per_batch None: one maximum for the whole data set (ACL-SSL). An int: a maximum per batch of that many frames
    and the mean over batches, a batch without any truth counting 0 (AVSBench; 5 is what papers report).
    """
    has_truth = truth.reshape(len(truth), -1).any(axis=1)
    size = frames_per_batch or len(curves)
    starts = range(0, len(curves), size)
    return float(np.mean([_best(curves[start : start + size][has_truth[start : start + size]]) for start in starts]))


def mean_over_batches(values: np.ndarray, frames_per_batch: int) -> float:
    """Mean of batch means: an unequal last batch counts fully, as in the released loop."""
    return float(
        np.mean([values[start : start + frames_per_batch].mean() for start in range(0, len(values), frames_per_batch)])
    )


def avsbench_summary(probabilities: np.ndarray, truth: np.ndarray, masks: np.ndarray | None = None) -> dict[str, Any]:
    """mIoU and F of frames in video order. `masks` default to probability > 0.5, strictly, as released."""
    masks = probabilities > 0.5 if masks is None else masks
    iou, curves = mask_iou(masks, truth), f_curves(probabilities, truth)
    return {
        "n_frames": len(truth),
        "n_empty_truth": int((~truth.reshape(len(truth), -1).any(axis=1)).sum()),
        "miou": mean_over_batches(iou, FRAMES_PER_VIDEO),
        "f_per_video": f_score(curves, truth, FRAMES_PER_VIDEO),
        "f_data_set": f_score(curves, truth),
    }


def _f_curve(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """F at every threshold of one frame, from counts of sorted values instead of 255 comparisons of the picture."""
    if not truth.any():
        return np.zeros(len(THRESHOLDS))
    hits, predicted = _count_at(probability[truth]), _count_at(probability.ravel())
    precision, recall = hits / (predicted + 1e-20), hits / (truth.sum() + 1e-20)
    bottom = BETA_SQUARED * precision + recall
    top = (1 + BETA_SQUARED) * precision * recall
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _count_at(values: np.ndarray) -> np.ndarray:
    return len(values) - np.searchsorted(np.sort(values), THRESHOLDS, side="left")


def _best(curves: np.ndarray) -> float:
    return float(curves.mean(axis=0).max()) if len(curves) else 0.0
