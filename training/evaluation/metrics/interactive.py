"""Interactive localization (IS3): one image, several sounds, and each sound must move the answer.

IIoU counts an image only when every one of its sounds is localized: a group's value is the smallest cIoU of its
members (SSLalignment e7ae3c5 `Evaluator_iiou`). The adaptive scores are the same functions on adaptive cIoU values.
Which sounds an image has is the truth's to say (that of the list, where one narrows it): an image is judged when each
of them has a map, and left out and counted otherwise, as of the smallest of its cIoUs nothing is known. Meaningful on
IS3 only: on VGG-SS or Flickr the name rule groups unrelated clips by prefix.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from manifests.commands.counting import counted
from manifests.test_sets import INTERACTIVE, Truth
from training.evaluation.localization import auc, success_rate
from training.evaluation.metrics import Scored
from training.evaluation.results import columns_of
from training.evaluation.scores import Score

SCORES = (
    Score("iiou", "IIoU", "share of images every sound of which is localized at 0.5."),
    Score("iauc", "IAUC", "AUC of the smallest IoU among an image's sounds."),
    Score("iiou_of_several", "IIoU, two or more", "the same over images with at least two sounds."),
    Score("iauc_of_several", "IAUC, two or more", "AUC of the smallest IoU, over images with at least two sounds."),
    Score("adaptive_iiou", "IIoU_adap", "IIoU of maps cut where they have the truth's area."),
    Score("adaptive_iauc", "IAUC_adap", "IAUC of maps cut where they have the truth's area."),
)
_NAMES = tuple(score.key for score in SCORES)
INCOMPLETE = "of which not every sound has a map"


def applies(scored: Scored) -> bool:
    """Where the set shows one image under several sounds."""
    return INTERACTIVE in scored.truth.tasks


def reduce(scored: Scored) -> dict[str, Any]:
    """`interactive_summary` by map."""
    rows = {name: columns_of(scored.positives, name) for name in scored.maps}
    every = scored.truth.test_set.keys
    return {name: interactive_summary(columns.keys, columns.iou, every) for name, columns in rows.items()}


def values(block: dict[str, Any], map_name: str) -> dict[str, float]:
    return {name: block[map_name][name] for name in _NAMES if block.get(map_name, {}).get(name) is not None}


def heading(block: dict[str, Any], map_name: str) -> str:
    found = block[map_name]
    alone = f" ({found['n_single']} with one sound, which test nothing interactive)" if found.get("n_single") else ""
    lost = f"; {found['n_incomplete']} left out, {INCOMPLETE}" if found.get("n_incomplete") else ""
    return f"over {counted(found['n_groups'], 'image')}, every sound right{alone}{lost}"


def group_key(name: str) -> str:
    """The image a sample belongs to: its name without folder, suffix and the last `_` token, the sounding object.

    A target whose own name holds `_` therefore falls into a group of its own, as in the released evaluator; `n_groups`
    and `group_sizes` in the summary show it.
    """
    stem = PurePosixPath(name).name
    stem = stem.rsplit(".", 1)[0] if PurePosixPath(stem).suffix.lower() in (".jpg", ".png", ".wav") else stem
    return stem.rsplit("_", 1)[0]


def classes_of(truth: Truth) -> dict[str, frozenset[str]]:
    """What is known to be in each clip: its own label, and where one image stands under several sounds, all of them."""
    together, groups = INTERACTIVE in truth.tasks, {}
    for key, label in truth.test_set.labels.items():
        groups.setdefault(group_key(key) if together else key, set()).update([label] if label else [])
    return {key: frozenset(groups[group_key(key) if together else key]) for key in truth.test_set.keys}


def group_minima(
    names: Sequence[str], iou: np.ndarray, every: Iterable[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest iou of each group, float64 (G,), and how many members it has, int (G,), in order of first appearance.

    every: the names of the truth; groups of which not all of these are among `names` are left out.
    """
    groups: dict[str, list[float]] = {}
    for name, value in zip(names, iou, strict=True):
        groups.setdefault(group_key(name), []).append(float(value))
    members = Counter(map(group_key, names if every is None else every))
    whole = [values for group, values in groups.items() if len(values) == members[group]]
    return np.array([min(values) for values in whole]), np.array([len(values) for values in whole], int)


def interactive_summary(names: Sequence[str], iou: np.ndarray, every: Iterable[str] | None = None) -> dict[str, Any]:
    """iiou (share of images with every sound at 0.5) and iauc, and the sizes of the groups they rest on.

    every: the names of the truth, where `names`, those that have a map, may be fewer.
    """
    every = names if every is None else list(every)
    minima, members = group_minima(names, iou, every)
    sizes, counts = np.unique(members, return_counts=True)
    several = minima[members > 1]
    return {
        "iiou": success_rate(minima) if len(minima) else None,
        "iauc": auc(minima) if len(minima) else None,
        "iiou_of_several": success_rate(several) if len(several) else None,
        "iauc_of_several": auc(several) if len(several) else None,
        "n_single": int((members == 1).sum()),
        "n_groups": len(minima),
        "n_incomplete": len(set(map(group_key, every))) - len(minima),
        "group_sizes": {str(size): int(count) for size, count in zip(sizes, counts, strict=True)},
    }
