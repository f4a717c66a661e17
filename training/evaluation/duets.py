"""Mixed sounds over K images: NoPrior (9910fb1, CVPR 2024), which asks for as many maps as there are sources.

Released: maps take images greedily in the order they come, an image's truth is erased once it is taken, and maps beyond
the sources still lengthen the list; but a model that finds nothing adds no entry at all. CAP and PIAP take the binary
mask as score. Textbook: the best assignment, the raw map as score, exactly K entries a case.

AVGN (5ab8cab, CVPR 2023) scores one map an image. Its PIAP has the arguments of average precision swapped, and its
MUSIC boxes (x, y, width, height) are read as corners.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from manifests.pixels import SIZE
from training.evaluation.average_precision import average_precision
from training.evaluation.localization import auc, ciou, success_rate
from training.evaluation.maps import minmax, upsample

MANY_MAPS = 12


@dataclass(frozen=True)
class Case:
    """One mixed sound: `iou` and `cap` of each entry, `piap` of all images together (None where nothing is found)."""

    iou: tuple[float, ...]
    cap: tuple[float, ...]
    piap: float | None


def enlarged_stack(low: np.ndarray, images: int) -> np.ndarray:
    """A map (K h, w) of K images below one another, cubically enlarged in one piece and cut: float32 (K, 224, 224).

    Enlarging the stack mixes rows where two images meet, as in the released code.
    """
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(low, np.float32))[None, None]
    size = (SIZE * images, SIZE)
    high = torch.nn.functional.interpolate(tensor, size, mode="bicubic", align_corners=False)
    return high[0, 0].numpy().reshape(images, SIZE, SIZE)


def enlarged_apart(low: np.ndarray, images: int) -> np.ndarray:
    """The same, each image's part enlarged by itself."""
    return upsample(low.reshape(images, -1, low.shape[-1]), "bicubic", align_corners=False)


def top_half(high: np.ndarray) -> np.ndarray:
    """bool (K, H, W): pixels above the value at half the ranks after a min-max stretch, or at its maximum."""
    stretched = minmax(high)
    flat = np.sort(stretched.reshape(len(high), -1), axis=1)
    level = flat[:, flat.shape[1] // 2][:, None, None]
    return (stretched > level) | (stretched >= 1)


def released_case(maps: Sequence[np.ndarray], truth: np.ndarray) -> Case:
    """Score low maps (each (K h, w)) against truths (K, 224, 224) in {0, 1} as the released run does."""
    if not maps:
        return Case((), (), None)
    images, left = len(truth), truth.astype(np.float32).copy()
    high = [enlarged_stack(low, images) for low in maps]
    iou, cap = [], []
    for one in high:
        masks = top_half(one)
        values = ciou(masks, left)
        taken = int(values.argmax())
        iou.append(float(values[taken]))
        cap.append(average_precision(left[taken].ravel() > 0, masks[taken].ravel().astype(np.float32)))
        left[taken] = 0
    missing = (0.0,) * max(images - len(maps), 0)
    return Case((*iou, *missing), (*cap, *missing), _piap(top_half(np.sum(high, axis=0)), truth))


def textbook_case(maps: Sequence[np.ndarray], truth: np.ndarray) -> Case:
    """The assignment of maps to images with the largest sum of cIoU, exactly K entries; raw maps as score."""
    images = len(truth)
    high = [enlarged_apart(low, images) for low in maps]
    empty = np.zeros((images, images))
    table = np.array([ciou(top_half(one), truth) for one in high] or empty)
    table = np.vstack([table, np.zeros((max(images - len(table), 0), images))])
    best = _assignment(table)
    score = np.sum(high, axis=0) if high else np.zeros_like(truth, np.float32)
    cap = [
        average_precision(truth[image].ravel() > 0, high[row][image].ravel()) if row < len(high) else 0.0
        for image, row in enumerate(best)
    ]
    return Case(tuple(table[list(best), range(images)].tolist()), tuple(cap), _piap(score, truth))


def _assignment(table: np.ndarray) -> tuple[int, ...]:
    """The map of each image with which cIoU, (maps, images), adds up to most; of many maps without trying each way."""
    if len(table) > MANY_MAPS:
        from scipy.optimize import linear_sum_assignment

        return tuple(linear_sum_assignment(table.T, maximize=True)[1].tolist())
    images = range(table.shape[1])
    return max(permutations(range(len(table)), len(images)), key=lambda rows: table[list(rows), images].sum())


def _piap(score: np.ndarray, truth: np.ndarray) -> float:
    return average_precision(truth.ravel() > 0, score.ravel().astype(np.float32))


def duet_scores(cases: Sequence[Case]) -> dict[str, float]:
    """cIoU@0.5, @0.3 and @0.1 (shares), AUC, CAP and PIAP of the cases' entries. ValueError when there is no entry."""
    iou = np.array([value for case in cases for value in case.iou])
    cap = [value for case in cases for value in case.cap]
    piap = [case.piap for case in cases if case.piap is not None]
    if not len(iou):
        raise ValueError("an aggregate needs at least one entry")
    return {
        "ciou50": success_rate(iou),
        "ciou30": success_rate(iou, 0.3),
        "ciou10": success_rate(iou, 0.1),
        "auc": auc(iou),
        "cap": float(np.mean(cap)),
        "piap": float(np.mean(piap)),
    }


def swapped_piap(masks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 (N,): AVGN's PIAP, average precision of the weights as score for the mask as truth. Small masks win."""
    return np.array([average_precision(mask.ravel(), own.ravel()) for mask, own in zip(masks, weights, strict=True)])


def piap(masks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 (N,): the usual way round, the mask as score for the weights as truth."""
    return np.array([
        average_precision(own.ravel() > 0, mask.ravel().astype(np.float32))
        for mask, own in zip(masks, weights, strict=True)
    ])  # fmt: skip


def music_pixels(box: Sequence[float]) -> tuple[int, int, int, int]:
    """NoPrior's rows and columns (top, bottom, left, right) of a box x, y, width, height: truncated, then added."""
    x, y, width, height = (int(SIZE * value) for value in box)
    return y, y + height, x, x + width


def music_pixels_as_corners(box: Sequence[float]) -> tuple[int, int, int, int]:
    """AVGN's: width and height read as the far corner, which leaves about half of the boxes empty."""
    x, y, right, bottom = (int(SIZE * min(max(value, 0.0), 1.0)) for value in box)
    return y, bottom, x, right
