"""How far a score could move with another draw of test clips: a percentile interval over resampled clips.

The three localization scores are means over clips (AUC too: the area of an average of step functions is the average of
their areas), so one resampling of per-clip contributions serves all of them.
"""

from collections.abc import Mapping

import numpy as np

from training.evaluation.localization import CURVE_THRESHOLDS, metric_names

RESAMPLES = 1000
_CHUNK = 50


def contributions(iou: np.ndarray, at: float = 0.5) -> np.ndarray:
    """float64 (N, 3): what each clip adds to ciou50, auc and mean_iou; their means over clips are the scores."""
    reached = (iou[:, None] >= CURVE_THRESHOLDS).astype(np.float64)
    area = np.trapezoid(reached, CURVE_THRESHOLDS, axis=1)
    return np.stack([iou >= at, area, iou], axis=1).astype(np.float64)


def interval95(iou: np.ndarray, at: float = 0.5, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, list[float]]:
    """95 % percentile interval [low, high] of each score of `summary`, from seeded resampling of clips (N,)."""
    columns = contributions(np.asarray(iou, np.float64), at).T
    return mean_intervals(dict(zip(metric_names(at), columns, strict=True)), seed, resamples)


def mean_intervals(
    columns: Mapping[str, np.ndarray], seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, list[float]]:
    """The interval of the mean of each column (N,), all resampled together: what one sample adds to each score."""
    values = np.stack([np.asarray(column, np.float64) for column in columns.values()], axis=1)
    random = np.random.default_rng(seed)
    means = []
    for start in range(0, resamples, _CHUNK):
        drawn = random.integers(len(values), size=(min(_CHUNK, resamples - start), len(values)))
        means.append(values[drawn].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    return {name: [float(low[at]), float(high[at])] for at, name in enumerate(columns)}
