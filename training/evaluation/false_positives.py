"""FPR on masks (AVSBench-Robust 03e925d, `calculate_FPR`): how much a segmenter shows when the sound is wrong.

The released number is the predicted area, own sound or not: masks are not used, and it is averaged over batches of
videos. A false positive rate divides what is wrongly shown by what is background.
"""

import numpy as np

_EPSILON = 1e-7  # the released denominator


def logits_above_half(logits: np.ndarray) -> np.ndarray:
    """bool: sigmoid(z) > 0.5, strictly; a logit of 0 is off."""
    return logits > 0


def released_fpr(masks: np.ndarray) -> np.ndarray:
    """float64 (F,): predicted share of the image of each frame's mask (F, H, W)."""
    flat = masks.reshape(len(masks), -1)
    return flat.sum(axis=1) / (flat.shape[1] + _EPSILON)


def false_positive_rate(masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 (F,): predicted share of the pixels outside the truth; 0 where the truth fills the image."""
    masks, background = masks.reshape(len(masks), -1), ~truth.reshape(len(truth), -1)
    area = background.sum(axis=1)
    return np.divide((masks & background).sum(axis=1), area, out=np.zeros(len(masks)), where=area > 0)
