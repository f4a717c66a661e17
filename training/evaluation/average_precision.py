"""Average precision of a score against a binary truth, as scikit-learn and torchmetrics define it."""

import numpy as np


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """sum_i (r_i - r_{i-1}) p_i over the distinct values of `score` (N,), highest first; `truth` is bool (N,).

    Tied scores enter together, so the order of pixels does not matter. 0 for an empty truth.
    """
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order], dtype=np.float64)
    if not hits.size or not hits[-1]:
        return 0.0
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)  # the last sample of each value
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float(np.diff(recall, prepend=0) @ precision)
