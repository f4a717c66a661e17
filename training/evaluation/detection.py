"""Extended sets: does the model know when nothing in the image sounds? AP and max-F1, as coded and as textbook.

At a confidence threshold d and an IoU cut g:
    TP = positives with confidence >= d and iou >= g;  FN = positives below d
    FP = positives with confidence >= d and iou < g, plus negatives with confidence >= d
so a confident but misplaced positive is a false positive that leaves the recall, which therefore always ends at 1.
"coded" functions reproduce SLAVC 05b429c `EvaluatorFull` (the numbers in tables); "textbook" ones look at every
distinct confidence. All are exact reductions of per-sample rows.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Recall = Literal["detected", "every_positive"]


@dataclass(frozen=True)
class Detections:
    """Per-sample arrays of N: iou float (0 for negatives), confidence float, positive bool. No NaN, N >= 1."""

    iou: np.ndarray
    confidence: np.ndarray
    positive: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.iou) == len(self.confidence) == len(self.positive) > 0:
            raise ValueError("detections need equally many ious, confidences and positive flags, at least one")
        if not (np.isfinite(self.iou).all() and np.isfinite(self.confidence).all()):
            raise ValueError("an iou or confidence is NaN or infinite: it can neither pass nor fail a threshold")

    def __len__(self) -> int:
        return len(self.iou)

    def take(self, chosen: np.ndarray) -> "Detections":
        """The samples of an index or boolean array."""
        return Detections(self.iou[chosen], self.confidence[chosen], self.positive[chosen])


def precision_recall(
    detections: Detections,
    thresholds: np.ndarray,
    at: float = 0.5,
    strict: bool = False,
    recall: Recall = "detected",
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall, float64 (T,), at each confidence threshold (T,); 0/0 is 1, as in `calc_precision_recall`.

    `strict` asks for iou > at, the text of the Extended VGG-SS paper. `recall` "detected" divides by TP + FN as coded;
    "every_positive" by all positives, the habit of object detection, whose values tables do not contain.
    """
    passes = detections.iou > at if strict else detections.iou >= at
    true_positive = _count_at(detections.confidence[detections.positive & passes], thresholds)
    found = _count_at(detections.confidence, thresholds)
    missed = detections.positive.sum() - _count_at(detections.confidence[detections.positive], thresholds)
    wanted = true_positive + missed if recall == "detected" else np.full(len(thresholds), detections.positive.sum())
    return _ratio(true_positive, found), _ratio(true_positive, wanted)


def f1_scores(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """float64 (T,): harmonic mean of precision (T,) and recall (T,), 0 where both are 0."""
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)


def f1_at(detections: Detections, threshold: float = 0.5, at: float = 0.5) -> float:
    """F1 at one confidence threshold: SLAVC `f1_at_50`."""
    return float(f1_scores(*precision_recall(detections, np.array([threshold]), at))[0])


def coded_f1_list(detections: Detections, at: float = 0.5) -> np.ndarray:
    """F1 at every (n // 10)-th ascending confidence, the list SLAVC prints (10 to 19 values)."""
    thresholds = np.sort(detections.confidence)[:: max(1, len(detections) // 10)]
    return f1_scores(*precision_recall(detections, thresholds, at))


def coded_max_f1(detections: Detections, at: float = 0.5) -> float:
    """The published max-F1: the largest of `coded_f1_list`, at most the true maximum."""
    return float(coded_f1_list(detections, at).max())


def coded_average_precision(detections: Detections, at: float = 0.5) -> float:
    """SLAVC `ap_at_50` / `calc_ap`: at most ~200 thresholds walking down from the second largest confidence.

    Each precision envelope value multiplies the recall step to its right, and the area left of the first recall is
    dropped: constant confidence gives exactly 0, as do one or two samples, and a perfect detector 1 - its first recall.
    """
    thresholds = np.sort(detections.confidence)[-2::-1][:: max(1, len(detections) // 200)]
    precision, recall = precision_recall(detections, thresholds, at)
    return float(_envelope(precision)[:-1] @ np.diff(recall))


def textbook_average_precision(
    detections: Detections, at: float = 0.5, strict: bool = False, recall: Recall = "detected"
) -> float:
    """Area under the precision envelope over all distinct confidences, recall starting at 0."""
    precision, reached = precision_recall(detections, _distinct(detections), at, strict, recall)
    return float(_envelope(precision) @ np.diff(reached, prepend=0.0))


def textbook_max_f1(
    detections: Detections, at: float = 0.5, strict: bool = False, recall: Recall = "detected"
) -> float:
    """The largest F1 over all distinct confidences."""
    return float(f1_scores(*precision_recall(detections, _distinct(detections), at, strict, recall)).max())


def always_on_f1(located: float, positive_share: float) -> float:
    """F1 of answering "it sounds" always, with LocAcc `located`: 2 L rho / (1 + L rho).

    No model's max-F1 can lie below it, so a table where it does mixes two measurements.
    """
    return 2 * located * positive_share / (1 + located * positive_share)


def confidence_tie_share(detections: Detections) -> float:
    """Share of samples whose confidence another sample also has: the order among them is arbitrary."""
    _, counts = np.unique(detections.confidence, return_counts=True)
    return float(counts[counts > 1].sum() / len(detections))


def _distinct(detections: Detections) -> np.ndarray:
    return np.unique(detections.confidence)[::-1]


def _count_at(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many values are >= each threshold."""
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="left")


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.ones(len(part)), where=whole > 0)


def _envelope(precision: np.ndarray) -> np.ndarray:
    """The largest precision at this or any later (lower) threshold."""
    return np.maximum.accumulate(precision[::-1])[::-1]
