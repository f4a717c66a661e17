"""Negative pairs: the Extended VGG-SS / Extended Flickr report of each map, from per-sample arrays.

Published AP and max-F1 are the "coded" ones; the textbook ones stand beside them, and so does the F1 of always
answering "it sounds". Which positives join each kind of negative in the paper's table is not published, so F1 per kind
is averaged over seeded draws of as many positives as negatives.
"""

from typing import Any

import numpy as np

from manifests.commands.counting import counted
from training.evaluation import detection
from training.evaluation.detection import Detections
from training.evaluation.localization import success_rate
from training.evaluation.metrics import Scored
from training.evaluation.results import columns_of
from training.evaluation.scores import Score, coded_and_textbook
from training.evaluation.truth import SIZE_BUCKETS, size_bucket

DRAWS = 10
STRICTER = 0.75  # the second IoU cut SLAVC prints
_CURVE_POINTS = 101
_POOLED = ("iou", "confidence", "areas", "boxes")
SCORES = (
    Score("ap", "AP as coded", "average precision over clips and negatives, by confidence, as SLAVC codes it."),
    Score("ap_textbook", "AP textbook", "the same at every distinct confidence, the recall starting at 0."),
    Score("max_f1", "max-F1 as coded", "the largest F1 over the confidences that SLAVC's code looks at."),
    Score("max_f1_textbook", "max-F1 textbook", "the largest F1 over all distinct confidences."),
    Score("max_f1_*", "max-F1, * negatives", "max-F1 as coded against as many clips as there are * negatives."),
    Score("always_on_f1_*", "F1 of always on, * negatives", "what answering 'it sounds' always reaches among these."),
    Score("locacc", "LocAcc", "share of the clips that are localized, whatever the confidence."),
    Score("always_on_f1", "F1 of always on", "the same among all clips and negatives, for AP and max-F1 of all."),
)


def applies(scored: Scored) -> bool:
    """Wherever negative pairs were given."""
    return scored.truth.extended is not None


def reduce(scored: Scored) -> dict[str, Any]:
    """`extended_summary` by map."""
    extended = scored.truth.extended
    kinds = {negative.key: negative.kind for negative in (extended.negatives if extended else ())}
    return {name: _of_map(scored, name, kinds) for name in scored.maps}


def _of_map(scored: Scored, name: str, kinds: dict[str, str]) -> dict[str, Any]:
    positive, negative = columns_of(scored.positives, name), columns_of(scored.negatives, name)
    iou, confidence, areas, boxes = (
        np.concatenate([getattr(positive, field), getattr(negative, field)]) for field in _POOLED
    )
    is_positive = np.arange(len(iou)) < len(positive.keys)
    kind = np.array([""] * len(positive.keys) + [kinds[key] for key in negative.keys])
    detections = Detections(iou, confidence, is_positive)
    return extended_summary(detections, kind, areas, boxes, scored.protocol.iou_cut, scored.seed)


def values(block: dict[str, Any], map_name: str) -> dict[str, float | None]:
    """Both AP, both max-F1, LocAcc, max-F1 by kind of negative; what always answering reaches on the same samples."""
    found = block.get(map_name, {})
    kinds = {kind: against["equal_positives"] for kind, against in found.get("by_negative_type", {}).items()}
    return {
        **coded_and_textbook({score: found[score] for score in ("ap", "max_f1") if score in found}),
        **{f"max_f1_{kind}": against["max_f1"]["coded"] for kind, against in kinds.items()},
        **{f"always_on_f1_{kind}": against.get("always_on_f1") for kind, against in kinds.items()},
        **{score: found[score] for score in ("locacc", "always_on_f1") if score in found},
    }


def heading(block: dict[str, Any], map_name: str) -> str:
    return f"against {counted(block[map_name]['n_negative'], 'negative')}"


def extended_summary(
    detections: Detections, kinds: np.ndarray, areas: np.ndarray, boxes: np.ndarray, at: float = 0.5, seed: int = 0
) -> dict[str, Any]:
    """Everything reported for one map. All arrays have N entries: `kinds` str ("" for positives), `areas` in pixels."""
    sizes = np.array([size_bucket(area) for area in areas])
    positive = detections.positive
    counts = np.unique(boxes[positive])
    return {
        **scores(detections, at),
        "at_75": scores(detections, STRICTER),
        "by_negative_type": {
            str(kind): _against(detections, kinds == kind, at, seed) for kind in np.unique(kinds[~positive])
        },
        "by_size": {name: _subset(detections, positive & (sizes == name), at) for name in SIZE_BUCKETS},
        "by_objects": {str(count): _subset(detections, positive & (boxes == count), at) for count in counts},
        "precision_recall": curve(detections, at),
    }


def scores(detections: Detections, at: float = 0.5) -> dict[str, Any]:
    """AP and max-F1 (coded, textbook), LocAcc, precision over all, the always-on floor; None where undefined."""
    positive = detections.positive
    located = success_rate(detections.iou[positive], at) if positive.any() else None
    floor = detection.always_on_f1(located, float(positive.mean())) if located is not None else None
    return {
        "n_positive": int(positive.sum()),
        "n_negative": int((~positive).sum()),
        "locacc": located,
        "precision_all": float((positive & (detections.iou >= at)).mean()),
        "ap": {
            "coded": detection.coded_average_precision(detections, at),
            "textbook": detection.textbook_average_precision(detections, at),
        },
        "max_f1": {
            "coded": detection.coded_max_f1(detections, at),
            "textbook": detection.textbook_max_f1(detections, at),
        },
        "always_on_f1": floor,
        "confidence_tie_share": detection.confidence_tie_share(detections),
    }


def curve(detections: Detections, at: float = 0.5) -> dict[str, list[float]]:
    """Precision and recall at up to 101 confidences, high to low, spread evenly over the ranking: data for a plot."""
    distinct = np.unique(detections.confidence)[::-1]
    chosen = np.unique(np.linspace(0, len(distinct) - 1, _CURVE_POINTS).round().astype(int))
    precision, recall = detection.precision_recall(detections, distinct[chosen], at)
    columns = {"confidence": distinct[chosen], "precision": precision, "recall": recall}
    return {name: [float(value) for value in values] for name, values in columns.items()}


def equal_positives(detections: Detections, negatives: np.ndarray, draw: int, seed: int) -> np.ndarray:
    """bool (N,): `negatives` and a seeded draw of as many positives (all of them when there are fewer)."""
    positives = np.flatnonzero(detections.positive)
    count = min(int(negatives.sum()), len(positives))
    chosen = negatives.copy()
    chosen[np.random.default_rng([seed, draw]).choice(positives, count, replace=False)] = True
    return chosen


def _against(detections: Detections, negatives: np.ndarray, at: float, seed: int) -> dict[str, Any]:
    """Scores with one kind of negative: with all positives, and F1 averaged over draws of as many positives."""
    drawn = [detections.take(equal_positives(detections, negatives, draw, seed)) for draw in range(DRAWS)]
    return {
        "all_positives": scores(detections.take(negatives | detections.positive), at),
        "equal_positives": {
            "draws": DRAWS,
            "max_f1": {
                "coded": float(np.mean([detection.coded_max_f1(each, at) for each in drawn])),
                "textbook": float(np.mean([detection.textbook_max_f1(each, at) for each in drawn])),
            },
            "always_on_f1": float(np.mean([scores(each, at)["always_on_f1"] or 0.0 for each in drawn])),
        },
    }


def _subset(detections: Detections, chosen: np.ndarray, at: float) -> dict[str, Any]:
    """Scores of some positives alone, without negatives, as SLAVC prints its size buckets."""
    return scores(detections.take(chosen), at) if chosen.any() else {"n_positive": 0}
