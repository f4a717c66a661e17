"""Localization metrics: cIoU of masks, the share of clips localized, the area under that curve, the mean.

What tables call cIoU, AP50, LocAcc or Precision is `success_rate`: the share of samples whose cIoU reaches 0.5 (EZ-VSL
`finalize_AP50`, SSLalignment `finalize_cIoU`, LVS and SSPL final numbers). `mean_iou` is EZ-VSL's `finalize_cIoU`, and
`auc` its `finalize_AUC`. All sums are float64.
"""

import numpy as np

from training.evaluation.truth import SIZE_BUCKETS, size_bucket

# A float product on purpose: 0.05 * 3 is slightly more than 0.15, so a cIoU of exactly 0.15 fails, as in all code.
CURVE_THRESHOLDS = 0.05 * np.arange(21)


def overlap(masks: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union, float64 (N,), of bool masks and weight maps in [0, 1], both (N, H, W).

    Intersection = weights inside the mask; union = all weights + predicted pixels of weight zero.
    """
    masks, weights = masks.reshape(len(masks), -1), weights.reshape(len(weights), -1)
    intersection = np.where(masks, weights, 0).sum(axis=1, dtype=np.float64)
    union = weights.sum(axis=1, dtype=np.float64) + (masks & (weights == 0)).sum(axis=1)
    return intersection, union


def ciou(masks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 (N,) in [0, 1]; an empty mask on an empty truth (0/0, NaN in released code) scores 0."""
    intersection, union = overlap(masks, weights)
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def success_rate(iou: np.ndarray, at: float = 0.5, strict: bool = False) -> float:
    """Share of samples with iou >= at; `strict` uses >, as SLAVC's `precision_at_50` (printed and used by train.py)."""
    iou = _checked(iou)
    return float((iou > at).mean() if strict else (iou >= at).mean())


def success_curve(iou: np.ndarray) -> np.ndarray:
    """float64 (21,): success rate of IoUs (N,) at 0, 0.05, ... 1."""
    iou = _checked(iou)
    return (iou[:, None] >= CURVE_THRESHOLDS).mean(axis=0)


def auc(iou: np.ndarray) -> float:
    """Area under the `success_curve` of IoUs (N,) by trapezoids, in [0.025, 1]."""
    return float(np.trapezoid(success_curve(iou), CURVE_THRESHOLDS))


def mean_iou(iou: np.ndarray) -> float:
    """Mean over the cIoU (N,) of samples."""
    return float(_checked(iou).mean())


def metric_names(at: float = 0.5) -> tuple[str, str, str]:
    """The keys of `summary`; the whole cut is part of the first one's name: neither 0.3 nor 0.504 poses as 0.5."""
    return f"ciou{round(100 * at, 12):.15g}", "auc", "mean_iou"


def summary(iou: np.ndarray, at: float = 0.5) -> dict[str, float]:
    """ciou50 (ciou30 for a cut of 0.3), auc and mean_iou of per-sample values (N,)."""
    return dict(zip(metric_names(at), (success_rate(iou, at), auc(iou), mean_iou(iou)), strict=True))


def by_size(iou: np.ndarray, areas: np.ndarray, at: float = 0.5) -> dict[str, dict[str, float | int | None]]:
    """`summary` per size bucket of the truth area in pixels (N,), with the count; None where a bucket is empty."""
    buckets = np.array([size_bucket(area) for area in areas])
    return {name: _group(iou[buckets == name], at) for name in SIZE_BUCKETS}


def by_number_of_objects(iou: np.ndarray, boxes: np.ndarray, at: float = 0.5) -> dict[int, dict]:
    """`summary` per number of annotated boxes (N,), degenerate and duplicate boxes included (EZ-VSL Fig. 5).

    Meaningless for Flickr-SoundNet, where the boxes are three annotators' opinions.
    """
    return {int(count): _group(iou[boxes == count], at) for count in np.unique(boxes)}


def auc_bounds(ciou50: float) -> tuple[float, float]:
    """The interval in which AUC must lie for this ciou50; a table outside it mixes two measurements."""
    return 0.025 + 0.5 * ciou50, 0.475 + 0.525 * ciou50


def _group(iou: np.ndarray, at: float) -> dict[str, float | int | None]:
    values: dict[str, float | int | None] = dict.fromkeys(metric_names(at))
    return {"n": len(iou), **(summary(iou, at) if len(iou) else values)}


def _checked(iou: np.ndarray) -> np.ndarray:
    iou = np.asarray(iou, np.float64)
    if not len(iou) or np.isnan(iou).any():
        raise ValueError("an aggregate needs at least one sample and no NaN")
    return iou
