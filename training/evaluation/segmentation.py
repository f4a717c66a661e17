"""Measures of masks against pixel masks, as AVSBench f7414af has them: IoU, and F over thresholds. Pure functions."""

import numpy as np

BETA_SQUARED = 0.3
F_THRESHOLDS = 255


def mask_iou(masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 (F,): IoU of bool masks and bool truth, both (F, H, W).

    A frame without truth scores the share of pixels predicted as background: 1 for an empty prediction.
    """
    masks, truth = masks.reshape(len(masks), -1), truth.reshape(len(truth), -1)
    intersection, union = (masks & truth).sum(axis=1), (masks | truth).sum(axis=1)
    background = (~masks & ~truth).sum(axis=1) / (masks.shape[1] + 1e-7)
    return np.where(truth.any(axis=1), intersection / (union + 1e-7), background)


def f_curves(
    probabilities: np.ndarray, truth: np.ndarray, beta_squared: float = BETA_SQUARED, thresholds: int = F_THRESHOLDS
) -> np.ndarray:
    """float64 (F, thresholds): F at each of so many thresholds in [0, 1], prediction = probability >= threshold.

    probabilities float32 (F, H, W) in [0, 1], truth bool (F, H, W). Rows of frames without truth are 0. ValueError for
    NaN, where the released code predicts nothing.
    """
    if np.isnan(probabilities).any():
        raise ValueError("the predicted probabilities hold NaN")
    # 255 float32 values, the last of which is exactly 1 because 1 - 1e-10 rounds to it
    cuts = np.linspace(0, 1 - 1e-10, thresholds).astype(np.float32)
    return np.stack([_f_curve(*frame, beta_squared, cuts) for frame in zip(probabilities, truth, strict=True)])


def f_score(curves: np.ndarray, truth: np.ndarray, frames_per_batch: int | None = None) -> float:
    """The largest mean F over thresholds; frames without truth are left out of the mean.

    frames_per_batch None: one maximum for the whole data set (ACL-SSL). An int: a maximum per batch of that many frames
    and the mean over batches, a batch without any truth counting 0 (AVSBench; 5 is what papers report).
    """
    has_truth = np.any(truth.reshape(len(truth), -1), axis=1)
    size = frames_per_batch or len(curves)
    starts = range(0, len(curves), size)
    return float(np.mean([_best(curves[start : start + size][has_truth[start : start + size]]) for start in starts]))


def mean_over_batches(values: np.ndarray, frames_per_batch: int) -> float:
    """Mean of batch means of values (F,): an unequal last batch counts fully, as in the released loop."""
    return float(
        np.mean([values[start : start + frames_per_batch].mean() for start in range(0, len(values), frames_per_batch)])
    )


def _f_curve(probability: np.ndarray, truth: np.ndarray, beta_squared: float, cuts: np.ndarray) -> np.ndarray:
    """F at every threshold of one frame, from counts of sorted values instead of a comparison of the image for each."""
    if not truth.any():
        return np.zeros(len(cuts))
    hits, predicted = _count_at(probability[truth], cuts), _count_at(probability.ravel(), cuts)
    precision, recall = hits / (predicted + 1e-20), hits / (truth.sum() + 1e-20)
    bottom = beta_squared * precision + recall
    top = (1 + beta_squared) * precision * recall
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _count_at(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    return len(values) - np.searchsorted(np.sort(values), cuts, side="left")


def _best(curves: np.ndarray) -> float:
    return float(curves.mean(axis=0).max()) if len(curves) else 0.0
