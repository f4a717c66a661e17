"""DSOL's scores of MUSIC, plainly: solo frames, and frames of several instruments by clusters; see `golden_reference`.

Sheet section 11 (DSOL 7f40207 tools.py cal_ciou, eval.py, eval_duet.py). Boxes are x, y, width, height as fractions.
"""

import numpy as np
from golden_reference import SIDE, auc, ciou, curve, enlarge

QUIET = 0.2
KEYLIST = ["accordion", "acoustic_guitar", "cello", "clarinet", "erhu", "flute", "saxophone", "trumpet", "tuba",
           "violin", "xylophone"]  # fmt: skip
DUETKEYS = {13: "accordion", 3: "acoustic_guitar", 1: "cello", 12: "flute", 8: "saxophone", 10: "trumpet", 11: "violin"}
CATEGORIES = {"keylist": KEYLIST, "duetkeys": {str(number): name for number, name in DUETKEYS.items()}}


def truth(boxes: list[list[float]]) -> np.ndarray:
    """The union; rows int(224 y):int(224 y + 224 height), columns likewise."""
    covered = np.zeros((SIDE, SIDE))
    for x, y, width, height in boxes:
        covered[int(SIDE * y) : int(SIDE * y + SIDE * height), int(SIDE * x) : int(SIDE * x + SIDE * width)] = 1
    return covered


def solo(maps: np.ndarray, keys: list[str], boxes: dict[str, list[list[float]]]) -> dict:
    """Above a tenth of the maximum; frames without a box, or not in the file at all, are skipped."""
    high = enlarge(np.maximum(maps, 0), "bilinear", False)
    scored = [(values, boxes[key]) for values, key in zip(high, keys, strict=True) if boxes.get(key)]
    scores = [ciou(values > 0.1 * values.max(), truth(own)) for values, own in scored]
    return {"auc": auc(scores), "iou50": curve(scores)[10], "ciou": scores}


def mixtures(
    maps: np.ndarray, owned: np.ndarray, frames: list[list[list[float]]], fraction: float, looked_at: int | None
) -> dict:
    """Frames (N, K, h, w) whose rows are [x, y, w, h, category]; `owned` says which clusters a category has.

    `looked_at`: the synthetic script looks for silence in its first 11 clusters, whatever K.
    """
    scores, silence = [], []
    for low, rows in zip(maps, frames, strict=True):
        high = enlarge(low, "bilinear", False)
        by_category = _by_category(rows)
        scores.append(np.mean([_one(high[owned[at] > 0], own, fraction) for at, own in by_category.items()]))
        first = {int(np.flatnonzero(owned[at])[0]) for at in by_category}
        silent = [cluster for cluster in range(len(high))[:looked_at] if cluster not in first]
        silence.append(np.mean([(high[cluster] <= QUIET).mean() for cluster in silent]))
    heights = curve(scores)
    return {"auc": auc(scores), "ciou_at_0_3": heights[6], "ciou_at_0_5": heights[10],
            "nsa": float(np.mean(silence)), "ciou": scores, "nosound": silence}  # fmt: skip


def _by_category(rows: list[list[float]]) -> dict[int, list[list[float]]]:
    grouped: dict[int, list[list[float]]] = {}
    for *box, category in rows:
        grouped.setdefault(KEYLIST.index(DUETKEYS[int(category)]), []).append(box)
    return grouped


def _one(high: np.ndarray, boxes: list[list[float]], fraction: float) -> float:
    """IoU of a category: its clusters' maps are added."""
    total = high.sum(axis=0)
    return ciou(total > fraction * total.max(), truth(boxes))
