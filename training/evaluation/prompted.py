"""Prompted segmentation (DenseAV 2221b8c `eval_utils.py`): one sound or word per image, one mask to find.

Released: similarities of several heads are taken together cell by cell, by their largest or their sum, before means are
taken over frequencies and over the times that are heard, or in which a word is spoken. Maps are stretched over the
whole set of prompts, AP of a class is over all pixels of all its images in one list, and its IoU is the best of 20
thresholds, chosen on the evaluated images: an oracle. A class that is visible in none of its images counts 0.
Textbook: AP of each image, and classes that are never visible left out.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from training.evaluation.average_precision import average_precision
from training.evaluation.maps import minmax, upsample

Heads = Literal["max", "sum"]
Stretch = Literal["set", "map"]
THRESHOLDS = 20
LEAD = 0.2  # seconds around a spoken word


def stretched(maps: np.ndarray) -> np.ndarray:
    """Maps (N, h, w) to [0, 1] by the smallest and the largest value of all of them; unchanged where these are one."""
    low, high = maps.min(), maps.max()
    return (maps - low) / (high - low) if high > low else maps


def best_iou(truth: np.ndarray, score: np.ndarray) -> float:
    """The largest IoU of `score > t`, t evenly from the lowest to the highest score; 0 for an empty truth or one value.

    truth bool and score float of any one shape.
    """
    low, high = float(score.min()), float(score.max())
    if high == low or not truth.any():
        return 0.0
    return max(_iou(truth, score > level) for level in np.linspace(low, high, THRESHOLDS, dtype=np.float32))


def _iou(truth: np.ndarray, mask: np.ndarray) -> float:
    union = int((truth | mask).sum())
    return int((truth & mask).sum()) / union if union else 1.0


def enlarged(maps: np.ndarray, size: int, stretch: Stretch = "set") -> np.ndarray:
    """float32 (N, size, size): stretched over the whole set, or each map by itself, then enlarged."""
    maps = np.asarray(maps, np.float32)
    return upsample(minmax(maps) if stretch == "map" else stretched(maps), "bilinear", align_corners=False, size=size)


def prompted_scores(
    maps: np.ndarray, labels: np.ndarray, classes: Sequence[int], stretch: Stretch = "set"
) -> dict[str, dict[str, float]]:
    """Scores of maps (N, h, w), prompted with `classes` (N,), against label maps (N, S, S): by way, by score.

    `by_class` has AP and best IoU of each class, in the order of class ids.
    """
    high = enlarged(maps, labels.shape[-1], stretch)
    asked = np.asarray(classes)
    truth = labels == asked[:, None, None]
    ids = [int(each) for each in np.unique(asked)]
    ap = {each: average_precision(truth[asked == each].ravel(), high[asked == each].ravel()) for each in ids}
    iou = {each: best_iou(truth[asked == each], high[asked == each]) for each in ids}
    visible = truth.reshape(len(truth), -1).any(axis=1)
    each_image = [
        average_precision(one.ravel(), own.ravel()) for one, own in zip(truth[visible], high[visible], strict=True)
    ]
    return {
        "ap_by_class": {str(name): value for name, value in ap.items()},
        "iou_by_class": {str(name): value for name, value in iou.items()},
        "released": {
            "prompted_ap": float(np.mean(list(ap.values()))),
            "prompted_iou": float(np.mean(list(iou.values()))),
        },
        "textbook": {"prompted_ap": float(np.mean(each_image)) if each_image else 0.0},
    }


def word_window(start: float, end: float, seconds: float, frames: int) -> slice:
    """Frames of the sound in which a word is spoken: from `start` less 0.2 s to `end` plus 0.2 s, widened to frames.

    In single precision, as released: 2.2 s and 0.2 s of 6 are 4 frames of 10 there, and a hair more in double.
    """
    begin, finish, lead, whole = map(np.float32, (start, end, LEAD, seconds))
    first = int(np.floor(max(begin - lead, np.float32(0)) / whole * np.float32(frames)))
    last = int(np.ceil(min(finish + lead, whole) / whole * np.float32(frames)))
    return slice(first, last)


def over_heads(similarities: np.ndarray, heads: Heads, nonnegative: bool = False) -> np.ndarray:
    """(N, h, w, T) of similarities (N, K, h, w, F, T): one of K heads in every cell, then the mean over frequencies.

    nonnegative: what is below 0 counts as 0, head by head.
    """
    found = np.maximum(similarities, 0) if nonnegative else similarities
    return (found.max(axis=1) if heads == "max" else found.sum(axis=1)).mean(axis=3)


def map_of_sound(similarity: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """(h, w) of similarities (h, w, T): their mean over the frames that are heard (T,)."""
    return (similarity * heard).sum(axis=-1) / heard.sum()


def map_of_word(similarity: np.ndarray, heard: np.ndarray, window: slice) -> np.ndarray:
    """(h, w) of similarities (h, w, T): their mean over a word's window, frames that are not heard (T,) counting as 0.

    Released: what is not heard is left out of the sum, but not of the number it is divided by.
    """
    return (similarity[..., window] * heard[window]).mean(axis=-1)
