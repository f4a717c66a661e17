"""Segmentation with classes (AVSS, 71 of them): mIoU and F as AVSBench f7414af and AVSegFormer 7083cb6 add them up.

Released: a class counts in a frame when it is in the truth or the prediction, so one wrong pixel makes an entry of 0;
its score is the mean over those frames, and the mean over all 71 classes takes those never seen as 0. "noBg" leaves out
the last index, 70, though background is index 0. Frames that only pad a clip are scored by the released loop; whoever
calls this decides by what is passed. Textbook: intersections and unions summed over the set, mean over seen classes.

Frame by frame, released: the mean over the IoUs that are not 0, so that a class in the wrong place costs nothing, and
0/0 where all are; and an IoU of any object against none that takes the last class for the background. Textbook: the
mean over the classes of the frame, and the background at index 0.
"""

from dataclasses import dataclass

import numpy as np

from training.evaluation.segmentation import BETA_SQUARED

CLASSES, BACKGROUND = 71, 0


@dataclass(frozen=True)
class ClassCounts:
    """Per frame and class, int64 (F, C): pixels in both, pixels predicted, pixels true."""

    both: np.ndarray
    predicted: np.ndarray
    true: np.ndarray

    @property
    def union(self) -> np.ndarray:
        return self.predicted + self.true - self.both


def class_counts(predicted: np.ndarray, true: np.ndarray) -> ClassCounts:
    """Counts of label maps (F, H, W) with indices below CLASSES. ValueError for shapes or labels that do not fit."""
    if predicted.shape != true.shape or predicted.ndim != 3:
        raise ValueError(f"label maps of shape {predicted.shape} do not fit a truth of shape {true.shape}")
    if max(predicted.max(), true.max()) >= CLASSES or min(predicted.min(), true.min()) < 0:
        raise ValueError(f"labels must lie from 0 to {CLASSES - 1}")
    rows = [_frame(*pair) for pair in zip(predicted, true, strict=True)]
    both, own, real = (np.stack(column) for column in zip(*rows, strict=True))
    return ClassCounts(both, own, real)


def _frame(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    predicted, true = (each.ravel().astype(np.int64) for each in (predicted, true))
    hits = predicted[predicted == true]
    both, own, real = (np.bincount(each, minlength=CLASSES) for each in (hits, predicted, true))
    return both, own, real


def _f(both: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    bottom = BETA_SQUARED * true + predicted
    return np.divide((1 + BETA_SQUARED) * both, bottom, out=np.zeros(both.shape), where=bottom > 0)


def released_by_class(counts: ClassCounts) -> tuple[np.ndarray, np.ndarray]:
    """IoU and F of each class, float64 (C,): means over frames in which it is true or predicted, 0 if in none."""
    frames = (counts.union > 0).sum(axis=0)
    iou = _frame_iou(counts)
    f = _f(counts.both, counts.predicted, counts.true)
    mean_iou, mean_f = (
        np.divide(each.sum(axis=0), frames, out=np.zeros(len(frames)), where=frames > 0) for each in (iou, f)
    )
    return mean_iou, mean_f


def textbook_by_class(counts: ClassCounts) -> tuple[np.ndarray, np.ndarray]:
    """IoU and F of each class from sums over the set, float64 (C,); NaN for a class that is nowhere."""
    both, own, real = (each.sum(axis=0) for each in (counts.both, counts.predicted, counts.true))
    seen = own + real > 0
    iou = np.divide(both, own + real - both, out=np.full(len(both), np.nan), where=seen)
    return iou, np.where(seen, _f(both, own, real), np.nan)


def frame_means_as_released(counts: ClassCounts) -> np.ndarray:
    """float64 (F,): mean over a frame's IoUs that are not 0; NaN where all are 0, which the released code divides."""
    hit = (counts.both > 0).sum(axis=1)
    return np.divide(_frame_iou(counts).sum(axis=1), hit, out=np.full(len(hit), np.nan), where=hit > 0)


def frame_means(counts: ClassCounts) -> np.ndarray:
    """float64 (F,): mean IoU over the classes that are true or predicted in a frame."""
    return _frame_iou(counts).sum(axis=1) / (counts.union > 0).sum(axis=1)


def binary_iou(counts: ClassCounts, background: int = BACKGROUND) -> np.ndarray:
    """float64 (F,): IoU of whatever is not `background`; of a frame that is all background the share that is found so.

    The released code takes the last class (CLASSES - 1) for it, which nearly no frame has.
    """
    pixels = counts.true.sum(axis=1)
    quiet, own, real = (each[:, background] for each in (counts.both, counts.predicted, counts.true))
    some = real < pixels
    inside, union = np.where(some, pixels - own - real + quiet, quiet), np.where(some, pixels - quiet, pixels)
    return inside / union


def _frame_iou(counts: ClassCounts) -> np.ndarray:
    """float64 (F, C), 0 where a class is neither true nor predicted."""
    return np.divide(counts.both, counts.union, out=np.zeros(counts.both.shape), where=counts.union > 0)


def semantic_scores(counts: ClassCounts) -> dict[str, float | None]:
    """mIoU, F and their mean (J&F), as released and textbook, with background and without.

    `*_no_background` as released drops the last class. J is the mIoU and F the F-score, as in AVSBench's tables. None
    where no frame has a mean over its IoUs that are not 0; frames that have none are left out of that mean.
    """
    iou, f = released_by_class(counts)
    book_iou, book_f = textbook_by_class(counts)
    seen = ~np.isnan(book_iou)
    objects = seen & (np.arange(len(seen)) != BACKGROUND)
    found = {
        "miou_classes": iou.mean(),
        "f_classes": f.mean(),
        "miou_classes_no_background": iou[:-1].mean(),
        "f_classes_no_background": f[:-1].mean(),
        "miou_seen_classes": iou[seen].mean(),
        "miou_classes_textbook": book_iou[seen].mean(),
        "f_classes_textbook": book_f[seen].mean(),
        "miou_objects_textbook": book_iou[objects].mean() if objects.any() else 0.0,
        "f_objects_textbook": book_f[objects].mean() if objects.any() else 0.0,
    }
    found["j_and_f"] = (found["miou_classes"] + found["f_classes"]) / 2
    found["j_and_f_textbook"] = (found["miou_objects_textbook"] + found["f_objects_textbook"]) / 2
    by_frame = frame_means_as_released(counts)
    found |= {
        "miou_of_frames_textbook": frame_means(counts).mean(),
        "binary_miou": binary_iou(counts, CLASSES - 1).mean(),
        "binary_miou_textbook": binary_iou(counts).mean(),
    }
    return {
        **{name: float(value) for name, value in found.items()},
        "miou_of_frames": None if np.isnan(by_frame).all() else float(np.nanmean(by_frame)),
        "classes_seen": int(seen.sum()),
    }
