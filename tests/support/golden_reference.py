"""The released evaluators again, plainly: the origin of the shipped golden values.

One function per evaluator, after the protocol sheet (../shared/reference/evaluation.md, sections named below), which
was written from the code at the commits it lists. Nothing here imports the project or torch; it is double precision,
slow and literal. `test_golden_reference.py` holds it against the numbers of the original code where ../shared is
present.
"""

from collections.abc import Callable

import numpy as np

SIDE = 224
HALF = SIDE * SIDE // 2
TAU = 0.03
STEPS = [0.05 * step for step in range(21)]
BUCKETS = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 144**2), "huge": (144**2, 1e8)}


# --- truth (1.1, 1.2) -------------------------------------------------------------------------------------------------


def vggss_box(box: list[float]) -> list[int]:
    """EZ-VSL utils.py and test.py: trunc(224 * clip(x, 0, 1))."""
    return [int(SIDE * min(max(value, 0.0), 1.0)) for value in box]


def flickr_box(box: list[int]) -> list[int]:
    return [int(SIDE * int(value) / 256) for value in box]


def covered(boxes: list[list[int]]) -> np.ndarray:
    """How many boxes cover each pixel; rows ymin:ymax, columns xmin:xmax."""
    counts = np.zeros((SIDE, SIDE))
    for x1, y1, x2, y2 in boxes:
        counts[y1:y2, x1:x2] += 1
    return counts


def vggss_truth(boxes: list[list[int]]) -> np.ndarray:
    return np.minimum(covered(boxes), 1.0)


def flickr_truth(boxes: list[list[int]]) -> np.ndarray:
    return np.minimum(covered(boxes) / 2, 1.0)


# --- maps (2) ---------------------------------------------------------------------------------------------------------


def enlarge(maps: np.ndarray, mode: str, aligned: bool) -> np.ndarray:
    """(N, h, w) -> (N, 224, 224), as torch's interpolate; cv2's INTER_LINEAR is bilinear, not aligned."""
    taps = _bilinear_taps if mode == "bilinear" else _bicubic_taps
    maps = maps.astype(np.float64)
    rows = [sum(w * maps[:, s] for s, w in taps(at, maps.shape[1], aligned)) for at in range(SIDE)]
    tall = np.stack(rows, axis=1)
    columns = [sum(w * tall[:, :, s] for s, w in taps(at, maps.shape[2], aligned)) for at in range(SIDE)]
    return np.stack(columns, axis=2)


def _place(at: int, size: int, aligned: bool) -> float:
    return at * (size - 1) / (SIDE - 1) if aligned else (at + 0.5) * size / SIDE - 0.5


def _bilinear_taps(at: int, size: int, aligned: bool) -> list[tuple[int, float]]:
    place = max(_place(at, size, aligned), 0.0)
    low = min(int(place), size - 1)
    return [(low, 1 - (place - low)), (min(low + 1, size - 1), place - low)]


def _bicubic_taps(at: int, size: int, aligned: bool) -> list[tuple[int, float]]:
    place = _place(at, size, aligned)
    low = int(np.floor(place))
    return [(min(max(low + step, 0), size - 1), _cubic(place - low - step)) for step in (-1, 0, 1, 2)]


def _cubic(x: float, a: float = -0.75) -> float:
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def minmax(values: np.ndarray) -> np.ndarray:
    """EZ-VSL utils.normalize_img: a constant map stays as it is."""
    low, high = values.min(), values.max()
    return values if high == low else (values - low) / (high - low)


def flipped(values: np.ndarray) -> np.ndarray:
    """LVS test.py: 1 - minmax(-s)."""
    return 1 - minmax(-values)


# --- masks (3, 4.2, 13) -----------------------------------------------------------------------------------------------


def at_least_median(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """EZ-VSL, SLAVC relative, FNAC: >= the value at place 25088 of the sorted."""
    return values >= np.sort(values, axis=None)[HALF]


def above_median(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """SSLalignment Evaluator_iiou: >."""
    return values > np.sort(values, axis=None)[HALF]


def lvs_mask(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """LVS, SSL-TIE: first what is above becomes 1, then what is below 1 becomes 0."""
    kept = np.where(values > np.sort(values, axis=None)[HALF], 1.0, values)
    return kept >= 1


def adaptive(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """SSLalignment's adaptive rule: as large as the truth, > ; half where there is none."""
    count = int((truth != 0).sum()) or HALF
    return values > np.sort(values, axis=None)[min(SIDE * SIDE - count, SIDE * SIDE - 1)]


def at_least_half(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """SLAVC absolute, SSPL, ACL-SSL at 0.5."""
    return values >= 0.5


Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]


def overlap(mask: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Intersection and union of equation (1)."""
    return float(truth[mask].sum()), float(truth.sum() + (mask & (truth == 0)).sum())


def ciou(mask: np.ndarray, truth: np.ndarray) -> float:
    inside, union = overlap(mask, truth)
    return inside / union if union else float("nan")


# --- numbers of a list (4.1, 5, 6) ------------------------------------------------------------------------------------


def curve(scores: list[float]) -> list[float]:
    return [sum(score >= step for score in scores) / len(scores) for step in STEPS]


def auc(scores: list[float]) -> float:
    heights = curve(scores)
    return sum((STEPS[at + 1] - STEPS[at]) * (heights[at] + heights[at + 1]) / 2 for at in range(20))


def success(scores: list[float], strict: bool = False) -> float:
    return sum(score > 0.5 if strict else score >= 0.5 for score in scores) / len(scores)


def localization(scores: list[float]) -> dict:
    return {"ciou50": success(scores), "auc": auc(scores), "mean_ciou": sum(scores) / len(scores), "ciou": scores,
            "curve21": curve(scores)}  # fmt: skip


def counts(bb: list, iou: list, conf: list, threshold: float, at: float) -> tuple[float, float]:
    """SLAVC calc_precision_recall: precision and recall, 0/0 being 1."""
    bb, iou, conf = np.array(bb), np.array(iou), np.array(conf)
    sure, positive = conf >= threshold, bb > 0
    hits = int((sure & positive & (iou >= at)).sum())
    false = int((sure & positive & ~(iou >= at)).sum()) + int((sure & ~positive).sum())
    missed = int((~sure & positive).sum())
    return (hits / (hits + false) if hits + false else 1.0), (hits / (hits + missed) if hits + missed else 1.0)


def f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def deciles(conf: list) -> list[float]:
    return sorted(conf)[:: max(1, len(conf) // 10)]


def f1_list(bb: list, iou: list, conf: list, at: float) -> list[float]:
    return [f1(*counts(bb, iou, conf, threshold, at)) for threshold in deciles(conf)]


def coded_ap(bb: list, iou: list, conf: list, at: float) -> float:
    """SLAVC calc_ap: down from the second largest confidence, envelope times the recall step to its right."""
    down = sorted(conf)[:-1][::-1][:: max(1, len(conf) // 200)]
    pairs = [counts(bb, iou, conf, threshold, at) for threshold in down]
    highest = [max(precision for precision, _ in pairs[place:]) for place in range(len(pairs))]
    return float(sum(highest[at] * (pairs[at + 1][1] - pairs[at][1]) for at in range(len(pairs) - 1)))


def subsets(bb: list, area: list) -> dict[str, list[int]]:
    """Samples of each subset of finalize_stats."""
    chosen = {"all": list(range(len(bb))), "visible": [at for at, each in enumerate(bb) if each > 0]}
    for name, (low, high) in BUCKETS.items():
        chosen[name] = [at for at in chosen["visible"] if low <= area[at] < high]
    return chosen


def finalize_stats(bb: list, iou: list, conf: list, area: list) -> dict:
    """SLAVC utils.EvaluatorFull.finalize_stats."""
    printed = {}
    for name, chosen in subsets(bb, area).items():
        own = [[column[at] for at in chosen] for column in (bb, iou, conf)]
        located = [iou[at] for at in chosen if bb[at] > 0]
        for at in (0.5, 0.75):
            stem = f"{name}@{round(100 * at)}"
            empty = not chosen
            printed[f"Precision-{stem}"] = float("nan") if empty else counts(*own, -1000, at)[0]
            values = [] if empty else f1_list(*own, at)
            printed[f"F1-{stem}"] = float("nan") if empty else " ".join(f"{100 * value:.1f}" for value in values)
            printed[f"AP-{stem}"] = float("nan") if empty else coded_ap(*own, at)
            printed[f"AUC-{stem}"] = auc(located) if located else float("nan")
    return printed


def slavc_numbers(bb: list, iou: list, conf: list, area: list) -> dict:
    """Everything that EvaluatorFull says of a list, and the list."""
    located = [score for score, boxes in zip(iou, bb, strict=True) if boxes > 0]
    by_count = {str(n): [s for s, boxes in zip(iou, bb, strict=True) if boxes == n] for n in sorted({*bb} - {0})}
    numeric = {
        f"all@{round(100 * at)}": {
            "thresholds": deciles(conf),
            "precision_recall": [counts(bb, iou, conf, threshold, at) for threshold in deciles(conf)],
            "f1": f1_list(bb, iou, conf, at),
        }
        for at in (0.5, 0.75)
    }
    return {
        "finalize_stats": finalize_stats(bb, iou, conf, area),
        "precision_at_50": success(located, strict=True) if located else float("nan"),
        "f1_at_50_default_conf": f1(*counts(bb, iou, conf, 0.5, 0.5)),
        "ap_at_50": coded_ap(bb, iou, conf, 0.5),
        "precision_at_50_object": {n: success(scores, strict=True) for n, scores in by_count.items()},
        "f1_numeric": numeric,
    }
