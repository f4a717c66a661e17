"""One frame in which several instruments may sound, with a map for each of them: the measures. Pure functions.

Reproduces DSOL 7f40207, `eval.py` (synthetic) and `eval_duet.py` (duet). CAP and PIAP are no part of it: average
precisions of the raw maps, which know no threshold, as the papers on mixtures give them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.evaluation.average_precision import average_precision
from training.evaluation.localization import auc, ciou, mean_iou, success_rate
from training.evaluation.maps import upsample

QUIET = 0.2
AT_30 = 0.05 * 6  # the value of the success curve DSOL prints: slightly more than 0.3


@dataclass(frozen=True)
class FrameScore:
    """One frame: CIoU over its sounding categories, and the no-sounding area; None when no cluster is silent.

    `textbook_area` leaves out every cluster of a sounding category; `coded_area`, as the released scripts do, only the
    first one each owns, which differs once a category owns several (K = 20). `cap`: average precision of a sounding
    category's map against its boxes, mean over categories; `piap`: of the sum of these maps against all boxes.
    """

    ciou: float
    coded_area: float | None
    textbook_area: float | None
    cap: float
    piap: float


def score_frame(
    maps: np.ndarray,
    correspondence: np.ndarray,
    truth: dict[int, np.ndarray],
    fraction: float,
    clusters_checked: int | None = None,
) -> FrameScore:
    """Score one frame with at least one sounding category.

    maps: float32 (K, h, w), one per cluster. correspondence: 0/1 (categories, K), which clusters a category owns.
    truth: category row -> weight map (224, 224) of its boxes. clusters_checked: how many clusters the coded area looks
    at; the released synthetic script stops at 11 whatever K.
    """
    high = upsample(maps, "bilinear", align_corners=False)
    own = {row: high[correspondence[row].astype(bool)].sum(axis=0) for row in truth}
    values = [_ciou(own[row], weights, fraction) for row, weights in truth.items()]
    quiet = (high <= QUIET).mean(axis=(1, 2))
    owned = correspondence[list(truth)] > 0
    first = np.isin(np.arange(len(maps)), owned.argmax(axis=1))
    return FrameScore(
        ciou=float(np.mean(values)),
        coded_area=_mean_or_none(quiet[:clusters_checked][~first[:clusters_checked]]),
        textbook_area=_mean_or_none(quiet[~owned.any(axis=0)]),
        cap=float(np.mean([_precision(own[row], weights) for row, weights in truth.items()])),
        piap=_precision(np.sum(list(own.values()), axis=0), np.sum(list(truth.values()), axis=0)),
    )


def music_summary(frames: Sequence[FrameScore]) -> dict[str, Any]:
    """CIoU@0.3 and @0.5, AUC, mean, NSA, CAP and PIAP; frames in which every cluster sounds are counted and left out of
    NSA."""
    values = np.array([frame.ciou for frame in frames])
    coded = [frame.coded_area for frame in frames if frame.coded_area is not None]
    textbook = [frame.textbook_area for frame in frames if frame.textbook_area is not None]
    return {
        "n_frames": len(frames),
        "ciou30": success_rate(values, AT_30),
        "ciou50": success_rate(values),
        "auc": auc(values),
        "mean_ciou": mean_iou(values),
        "nsa": {"coded": _mean_or_none(np.array(coded)), "textbook": _mean_or_none(np.array(textbook))},
        "cap_instruments": float(np.mean([frame.cap for frame in frames])),
        "piap_instruments": float(np.mean([frame.piap for frame in frames])),
        "n_without_silent_cluster": len(frames) - len(textbook),
    }


def _mean_or_none(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _ciou(own: np.ndarray, weights: np.ndarray, fraction: float) -> float:
    return float(ciou((own > fraction * own.max())[None], weights[None])[0])


def _precision(own: np.ndarray, weights: np.ndarray) -> float:
    return average_precision(weights.ravel() > 0, own.ravel())
