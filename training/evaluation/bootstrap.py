"""How far a score could move with another draw of test clips: a percentile interval over resampled clips.

The three localization scores are means over clips (AUC too: the area of an average of step functions is the average of
their areas), so one resampling of per-clip contributions serves all of them.
"""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from training.evaluation.localization import CURVE_THRESHOLDS, metric_names

RESAMPLES = 1000
_CHUNK = 50
_Z = 1.959963984540054  # of the normal distribution, at 97.5 %


def contributions(iou: np.ndarray, at: float = 0.5) -> np.ndarray:
    """float64 (N, 3): what each clip adds to ciou50, auc and mean_iou; their means over clips are the scores."""
    reached = (iou[:, None] >= CURVE_THRESHOLDS).astype(np.float64)
    area = np.trapezoid(reached, CURVE_THRESHOLDS, axis=1)
    return np.stack([iou >= at, area, iou], axis=1).astype(np.float64)


def interval95(
    iou: np.ndarray, at: float = 0.5, seed: int = 0, of: Sequence[Hashable] | None = None
) -> dict[str, list[float]]:
    """95 % percentile interval [low, high] of each score of `summary`, from seeded resampling of clips (N,); as
    `mean_intervals`."""
    columns = contributions(np.asarray(iou, np.float64), at).T
    return mean_intervals(dict(zip(metric_names(at), columns, strict=True)), seed, of)


def mean_intervals(
    columns: Mapping[str, np.ndarray], seed: int = 0, of: Sequence[Hashable] | None = None
) -> dict[str, list[float]]:
    """The interval of the mean of each column (N,) of what a sample adds to a score, in [0, 1]; all resampled together.

    `of` names the video or image of each sample, which is drawn with all its samples: they are alike. Where all that is
    drawn scores the same (nothing found, all found, one clip or video) resampling has no width, and Wilson's stands.
    """
    values = np.stack([np.asarray(column, np.float64) for column in columns.values()], axis=1)
    sums, counts = _by_group(values, of)
    random = np.random.default_rng(seed)
    means = []
    for start in range(0, RESAMPLES, _CHUNK):
        drawn = random.integers(len(sums), size=(min(_CHUNK, RESAMPLES - start), len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)[:, None])
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    flat = np.flatnonzero(np.ptp(sums / counts[:, None], axis=0) < 1e-12)  # but for rounding
    alike = {int(at): _wilson(float(values[:, at].mean()), len(sums)) for at in flat}
    return {name: alike.get(at, [float(low[at]), float(high[at])]) for at, name in enumerate(columns)}


def _by_group(values: np.ndarray, of: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    """Sums (G, C) of samples (N, C) by what they belong to, in the order in which that first comes; how many (G,)."""
    if of is None:
        return values, np.ones(len(values))
    numbers: dict[Hashable, int] = {}
    group = np.array([numbers.setdefault(name, len(numbers)) for name in of])
    sums = np.zeros((len(numbers), values.shape[1]))
    np.add.at(sums, group, values)
    return sums, np.bincount(group).astype(np.float64)


def _wilson(share: float, count: int) -> list[float]:
    """Wilson's 95 % interval (1927) of a share of `count` samples; values in [0, 1] of that mean need none wider."""
    middle, width = share + _Z**2 / (2 * count), _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return [max(0.0, float((middle - width) / scale)), min(1.0, float((middle + width) / scale))]
