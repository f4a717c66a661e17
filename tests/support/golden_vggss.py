"""What needs no network on a file of VGG-SS boxes: a centred disc, the whole image, the best possible, plainly."""

from collections import Counter

import numpy as np
from golden_reference import BUCKETS, HALF, SIDE, above_median, at_least_median, ciou, localization, success, vggss_box
from golden_reference import vggss_truth as truth_of

RULES = {"ez": at_least_median, "kaist": above_median}
HALVES = {">= (25088 px)": HALF, "> (25087 px)": HALF - 1}


def floors_and_ceilings(annotated: dict[str, list[list[float]]]) -> dict:
    """Of boxes by clip, under the names of golden_vggss_real.json."""
    boxes = {key: [vggss_box(box) for box in own] for key, own in annotated.items()}
    truths = {key: truth_of(own) for key, own in boxes.items()}
    sizes = {key: _size(truth) for key, truth in truths.items()}
    counts = {key: str(len(own)) for key, own in boxes.items()}
    found = {
        "n": len(boxes),
        "boxes_per_sample": dict(Counter(counts.values())),
        "size_counts": {name: list(sizes.values()).count(name) for name in BUCKETS},
        "empty_gt": [key for key, truth in truths.items() if not truth.any()],
        "full_image_gt": [key for key, truth in truths.items() if truth.all()],
        "degenerate_boxes": sum(x2 <= x1 or y2 <= y1 for own in boxes.values() for x1, y1, x2, y2 in own),
    }
    every, middle = np.zeros((SIDE, SIDE)), _disc()
    for name, rule in RULES.items():
        for what, shown in (("centred half-area disc", middle), ("constant map", every)):
            mask = rule(shown, every)
            scores = {key: ciou(mask, truth) for key, truth in truths.items()}
            found[f"{what} | {name}"] = _block(scores, mask, counts, sizes)
    for comparator, pixels in HALVES.items():
        numbers = localization([_best(truth, pixels) for truth in truths.values()])
        best = {"ciou50": numbers["ciou50"], "strict50": success(numbers["ciou"], strict=True)}
        best |= {"auc": numbers["auc"], "mean": numbers["mean_ciou"]}
        found[f"best possible with any half-image prediction {comparator}"] = best
    return found


def _disc() -> np.ndarray:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] - (SIDE - 1) / 2
    return -(rows**2 + columns**2)


def _size(truth: np.ndarray) -> str:
    return next(name for name, (low, high) in BUCKETS.items() if low <= truth.sum() < high)


def _block(scores: dict[str, float], mask: np.ndarray, counts: dict[str, str], sizes: dict[str, str]) -> dict:
    numbers = localization(list(scores.values()))
    kept = {name: numbers[name] for name in ("ciou50", "auc", "mean_ciou")}
    kept |= {"strict50": success(list(scores.values()), strict=True), "positives": int(mask.sum())}
    return kept | {
        f"ciou50_by_{what}": {
            name: success([scores[key] for key, own in group.items() if own == name])
            for name in sorted({*group.values()})
        }
        for what, group in (("number_of_boxes", counts), ("size", sizes))
    }


def _best(truth: np.ndarray, pixels: int) -> float:
    """The share a mask of that many pixels reaches at most: all of the truth, or itself inside it."""
    area = int(truth.sum())
    return min(area, pixels) / max(area, pixels)
