"""Does a map follow the sound? One image under its own sound and under controls: what its mask and its map then do.

The arithmetic of vssl_eval (Juanola et al., ICASSP 2025): pIA, AUC_N, F_LOC, F_AUC, the overlap of masks, thresholds
from negatives. All values are fractions; masks are bool (N, H, W). The released code divides 0 by 0 in F and gives NaN
or stops; here such an F is 0.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from manifests.sound_draws import NEGATIVES
from training.evaluation.localization import CURVE_THRESHOLDS

LISTENING = ("vssl", "vssl_textbook")  # what `training evaluate --listen` adds
NEGATIVE_PAIRS = tuple(combinations(NEGATIVES, 2))  # the masks of two negatives are held against each other, too


def active_share(masks: np.ndarray) -> np.ndarray:
    """float64 (N,): pIA, the share of the image that a mask calls sounding. Under a negative sound, small is good."""
    return masks.reshape(len(masks), -1).mean(axis=1, dtype=np.float64)


def auc_of_silence(shares: np.ndarray) -> float:
    """AUC_N in [0.025, 1]: area under "share of clips whose active share (N,) is at most t", t = 0, 0.05 ... 1."""
    shares = np.asarray(shares, np.float64)
    if not len(shares) or np.isnan(shares).any():
        raise ValueError("an aggregate needs at least one sample and no NaN")
    return float(np.trapezoid((shares[:, None] <= CURVE_THRESHOLDS).mean(axis=0), CURVE_THRESHOLDS))


def harmonic(located: float, quiet: float) -> float:
    """2ab / (a + b): F_LOC of mean cIoU and mean inactive share, F_AUC of AUC and mean AUC_N. 0 where both are 0."""
    return 2 * located * quiet / (located + quiet) if located + quiet else 0.0


def mask_agreement(masks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float64 (N,): IoU of two masks of one image, 1 where both are empty. High: the mask ignores the sound."""
    masks, others = masks.reshape(len(masks), -1), others.reshape(len(others), -1)
    union = (masks | others).sum(axis=1)
    shared = (masks & others).sum(axis=1).astype(np.float64)
    return np.divide(shared, union, out=np.ones(len(masks)), where=union > 0)


def map_correlation(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float64 (N,) in [-1, 1]: Pearson correlation of two maps (N, h, w) of one image, over their own cells.

    A map without any variation ranks nothing: two such maps say the same, 1; one such map beside another, 0.
    """
    first, second = (_centred(each) for each in (maps, others))
    sizes = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    both, neither = sizes[0] * sizes[1] > 0, (sizes[0] == 0) & (sizes[1] == 0)
    product = (first * second).sum(axis=1)
    correlation = np.divide(product, sizes[0] * sizes[1], out=neither.astype(np.float64), where=both)
    return np.clip(correlation, -1, 1)


def _centred(maps: np.ndarray) -> np.ndarray:
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    flat = np.where((flat == flat[:, :1]).all(axis=1, keepdims=True), 0.0, flat)  # a mean of equal values may round
    return flat - flat.mean(axis=1, keepdims=True)


def threshold_from_negatives(maxima: Sequence[np.ndarray], quantile: float = 0.75) -> float:
    """The value that this quantile of the maps' maxima under negative sounds stays below; 0.75 is the rule Q3.

    maxima: one array (N,) for each kind of negative, of maps before they are enlarged, pooled into one list. The
    released code holds constants only: pooling, quantile formula (linear) and fitting set are this project's choice.
    """
    return float(np.quantile(np.concatenate([np.asarray(each, np.float64) for each in maxima]), quantile))


def positive_negative_scores(iou: np.ndarray, auc: float, shares: Mapping[str, np.ndarray]) -> dict[str, float]:
    """F_LOC and F_AUC of cIoU (N,), its AUC, and active shares (M,) by kind of negative; means over the kinds given."""
    quiet = np.mean([1 - each.mean() for each in shares.values()])
    area = np.mean([auc_of_silence(each) for each in shares.values()])
    return {"f_loc": harmonic(float(iou.mean()), float(quiet)), "f_auc": harmonic(auc, float(area))}
