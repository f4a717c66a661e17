"""Interactive localization (IS3): one image, several sounds, and each sound must move the answer.

IIoU counts an image only when every one of its sounds is localized: a group's value is the smallest cIoU of its
members (SSLalignment e7ae3c5 `Evaluator_iiou`). The adaptive scores are the same functions on adaptive cIoU values.
Meaningful on IS3 only: on VGG-SS or Flickr the name rule groups unrelated clips by prefix.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from manifests.test_sets import INTERACTIVE
from training.evaluation.localization import auc, success_rate
from training.evaluation.metrics import Scored
from training.evaluation.results import columns_of
from training.evaluation.scores import Score

SCORES = (
    Score("iiou", "IIoU", "share of images every sound of which is localized at 0.5."),
    Score("iauc", "IAUC", "AUC of the smallest IoU among an image's sounds."),
)


def applies(scored: Scored) -> bool:
    """Where the set shows one image under several sounds."""
    return INTERACTIVE in scored.truth.tasks


def reduce(scored: Scored) -> dict[str, Any]:
    """`interactive_summary` by map."""
    rows = {name: columns_of(scored.positives, name) for name in scored.maps}
    return {name: interactive_summary(columns.keys, columns.iou) for name, columns in rows.items()}


def values(block: dict[str, Any], map_name: str) -> dict[str, float]:
    return {score: block[map_name][score] for score in ("iiou", "iauc")} if map_name in block else {}


def heading(block: dict[str, Any], map_name: str) -> str:
    return f"over {block[map_name]['n_groups']} images, every sound right"


def group_key(name: str) -> str:
    """The image a sample belongs to: its name without folder, suffix and the last `_` token, the sounding object.

    A target whose own name holds `_` therefore falls into a group of its own, as in the released evaluator; `n_groups`
    and `group_sizes` in the summary show it.
    """
    stem = PurePosixPath(name).name
    stem = stem.rsplit(".", 1)[0] if PurePosixPath(stem).suffix.lower() in (".jpg", ".png", ".wav") else stem
    return stem.rsplit("_", 1)[0]


def group_minima(names: Sequence[str], iou: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest iou of each group, float64 (G,), and how many members it has, int (G,), in order of first appearance."""
    groups: dict[str, list[float]] = {}
    for name, value in zip(names, iou, strict=True):
        groups.setdefault(group_key(name), []).append(float(value))
    return np.array([min(values) for values in groups.values()]), np.array([len(values) for values in groups.values()])


def interactive_summary(names: Sequence[str], iou: np.ndarray) -> dict[str, Any]:
    """iiou (share of images with every sound at 0.5) and iauc, and the sizes of the groups they rest on."""
    minima, members = group_minima(names, iou)
    sizes, counts = np.unique(members, return_counts=True)
    return {
        "iiou": success_rate(minima),
        "iauc": auc(minima),
        "n_groups": len(minima),
        "group_sizes": {str(size): int(count) for size, count in zip(sizes, counts, strict=True)},
    }
