"""Segmentation with classes (AVSBench-semantic): label maps against label maps, as released and as the textbook has it.

`maps.npz` then holds `names` (N,) and `labels` (N, H, W), the class of every pixel, 0 for background. The truth is
brought to that size without mixing classes. The released loop pads videos of 5 frames to 10 and scores what was
predicted on the padding against background: frames of a known video beyond its last one, `<video>_6` to `<video>_10`,
are taken for that, counted, and left out of the textbook's numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.annotations import WHOLE
from manifests.class_maps import load_classes
from manifests.errors import InputError
from manifests.test_sets import SEMANTIC, ClassSet, Truth
from training.evaluation.given_arrays import names_of
from training.evaluation.needs import refuse_negatives, require_classes
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import match_names
from training.evaluation.reaches import Reach
from training.evaluation.results import Result, counted
from training.evaluation.scores import Score
from training.evaluation.semantic import (
    BACKGROUND,
    CLASSES,
    ClassCounts,
    class_counts,
    frame_means_as_released,
    semantic_scores,
)

SCORES = (
    Score("miou_classes", "mIoU, 71 classes", "mean over all classes, those never seen as 0, as AVSBench codes it."),
    Score("f_classes", "F, 71 classes", "F-score, beta squared 0.3, mean over all classes, as AVSBench codes it."),
    Score("j_and_f", "J&F as coded", "mean of that mIoU and that F."),
    Score("miou_classes_no_background", "mIoU noBg as coded", "the same without the last class, which is not the "
          "background."),
    Score("f_classes_no_background", "F noBg as coded", "F without the last class, which is not the background."),
    Score("miou_seen_classes", "mIoU, seen classes", "as coded, mean over classes that are somewhere."),
    Score("miou_classes_textbook", "mIoU", "intersections over unions, summed over the set; mean of seen classes."),
    Score("f_classes_textbook", "F", "F-score of sums over the set, mean of seen classes."),
    Score("miou_objects_textbook", "mIoU without background", "the same without the background."),
    Score("f_objects_textbook", "F without background", "the same without the background."),
    Score("j_and_f_textbook", "J&F", "mean of mIoU and F without background."),
    Score("miou_of_frames", "mIoU of frames as coded", "mean over frames of the mean of those IoUs of a frame's "
          "classes that are not 0; frames without one are left out."),
    Score("miou_of_frames_textbook", "mIoU of frames", "mean over frames of the mean IoU of a frame's classes."),
    Score("binary_miou", "binary mIoU as coded", "IoU of what is not the last class, which is not the background; mean "
          "over frames."),
    Score("binary_miou_textbook", "binary mIoU", "IoU of what is not background, of a frame without an object the "
          "share left out; mean over frames."),
)  # fmt: skip
MOST_PADDED = 10_000
PADDED = 10  # frames of a video in the released loader
_BATCH = 64


@dataclass(frozen=True)
class LabelMaps:
    """names (N,), labels int (N, H, W); `unknown` are classes that a model tells apart and the set does not have."""

    names: Sequence[str]
    labels: np.ndarray
    unknown: Sequence[str] = ()

    def __post_init__(self) -> None:
        labels, whole = self.labels, self.labels.dtype.kind in "iu"
        if not whole or labels.ndim != 3 or len(labels) != len(self.names) or 0 in labels.shape[1:]:
            raise InputError(
                f"The labels are {labels.dtype} of shape {labels.shape} for {len(self.names)} names. Give whole "
                "numbers (frames, height, width), the class of every pixel."
            )
        if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < CLASSES:
            raise InputError(f"The labels lie from {labels.min()} to {labels.max()}; classes are 0 to {CLASSES - 1}.")


@dataclass(frozen=True)
class SemanticProtocol(Protocol):
    """Both ways of adding up stand beside one another; `padded_frames`: what videos are filled up to as released, 0 for
    no padding."""

    task: ClassVar[str] = "semantic"
    choices: ClassVar[tuple[str, ...]] = ("padded_frames",)
    padded_frames: int = PADDED

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {"padded_frames": Reach(0, MOST_PADDED)}

    @property
    def asks(self) -> str:
        return "labels"


ANSWERS, TAKES = LabelMaps, "a class for every pixel"
ARRAYS, OPTIONAL = ("names", "labels"), ()


def read(arrays: dict[str, np.ndarray], alpha: float, protocol: SemanticProtocol) -> LabelMaps:
    """The arrays of a file. InputError for labels that are none."""
    return LabelMaps(names_of(arrays), np.asarray(arrays["labels"]))


def check(truth: Truth, protocol: SemanticProtocol) -> None:
    """InputError for a truth without classes of pixels, or with silent pairs."""
    require_classes(truth, protocol, SEMANTIC)
    refuse_negatives(truth, protocol)


def score(
    found: LabelMaps, truth: Truth, protocol: SemanticProtocol, *, seed: int = 0, run: str | None = None
) -> Result:
    """Score label maps. InputError for no name in common."""
    assert truth.classes is not None, "`check` comes before"
    positions = match_names(found.names, truth.test_set)
    keys = [key for key in truth.test_set.keys if key in positions]
    counts = _counts(found, truth.classes, keys, positions)
    padding = padding_rows(found.names, truth.test_set.keys, protocol.padded_frames)
    filled = found.labels[padding]
    whole = _joined([counts, class_counts(filled, np.zeros_like(filled))]) if padding else counts
    sums = counts.true.sum(axis=0)
    summary = counted(truth.test_set, keys, run) | {
        "task": "semantic",
        "protocol": protocol.as_json(),
        "seed": seed,
        "n_padding": len(padding),
        "n_without_hit": int(np.isnan(frame_means_as_released(whole)).sum()),
        "unknown_classes": sorted(found.unknown),
        "classes_seen": int((counts.union.sum(axis=0) > 0).sum()),
        "scores": {AUDIO_VISUAL: _both(whole, counts)},
        "floors": {"background": _both(*[_same(counts, BACKGROUND)] * 2), "largest_class": _both(
            *[_same(counts, int(np.argmax(np.where(np.arange(CLASSES) == BACKGROUND, -1, sums))))] * 2)},
        "ceiling": _both(*[ClassCounts(counts.true, counts.true, counts.true)] * 2),
    }  # fmt: skip
    return Result(_table(truth, keys, counts), summary)


def padding_rows(names: Sequence[str], keys: Sequence[str], padded: int) -> list[int]:
    """Rows of frames `<video>_<n>` of known videos that are past a video's last frame and not past `padded`."""
    last: dict[str, int] = {}
    for video, number in map(_frame, keys):
        last[video] = max(last.get(video, 0), number)
    numbered = [(row, *_frame(name)) for row, name in enumerate(names)]
    return [row for row, video, number in numbered if last.get(video, padded) < number <= padded]


def _frame(name: str) -> tuple[str, int]:
    video, _, number = name.rpartition("_")
    return video, int(number) if number.isascii() and number.isdecimal() and len(number) < 9 else 0


def _counts(found: LabelMaps, classes: ClassSet, keys: Sequence[str], positions: dict[str, int]) -> ClassCounts:
    size = (found.labels.shape[1], found.labels.shape[2])
    parts = []
    for start in range(0, len(keys), _BATCH):
        chunk = keys[start : start + _BATCH]
        true = [load_classes(classes.files[key], classes.coding, size, classes.shown.get(key, WHOLE)) for key in chunk]
        parts.append(class_counts(found.labels[[positions[key] for key in chunk]], np.stack(true)))
    return _joined(parts)


def _joined(parts: Sequence[ClassCounts]) -> ClassCounts:
    return ClassCounts(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("both", "predicted", "true"))
    )


def _same(counts: ClassCounts, answer: int) -> ClassCounts:
    """One class for every pixel of every frame."""
    predicted, both = np.zeros_like(counts.true), np.zeros_like(counts.true)
    predicted[:, answer], both[:, answer] = counts.true.sum(axis=1), counts.true[:, answer]
    return ClassCounts(both, predicted, counts.true)


def _both(released: ClassCounts, textbook: ClassCounts) -> dict[str, float | None]:
    """The coded numbers with padding, the textbook's without."""
    coded, book = semantic_scores(released), semantic_scores(textbook)
    every = {name: book[name] if name.endswith("_textbook") else coded[name] for name in coded}
    return {name: value for name, value in every.items() if name != "classes_seen"}


def _table(truth: Truth, keys: Sequence[str], counts: ClassCounts) -> pa.Table:
    """Per frame: the mean IoU of the classes that are true or predicted in it, background left out."""
    union, objects = counts.union.copy(), np.arange(CLASSES) != BACKGROUND
    iou = np.divide(counts.both, union, out=np.zeros(union.shape), where=union > 0)
    there = (union > 0) & objects
    means = np.divide((iou * there).sum(axis=1), there.sum(axis=1), out=np.zeros(len(keys)), where=there.any(axis=1))
    areas = counts.true[:, objects].sum(axis=1) / counts.true.sum(axis=1)
    labels = truth.test_set.labels
    columns: dict[str, Any] = {
        "key": list(keys), "map": [AUDIO_VISUAL] * len(keys), "iou": means, "confidence": [None] * len(keys),
        "area": areas, "boxes": [0] * len(keys), "label": [labels[key] for key in keys],
        "flags": [[] if area else ["empty_truth"] for area in areas],
    }  # fmt: skip
    return pa.table(columns)
