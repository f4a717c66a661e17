"""Which photographs are one place, and which classes are related, for surroundings that go with a class.

Backgrounds in folders are of the place that the folder names; others are grouped by their colours. Classes that sound
alike are related. Every place has backgrounds on both sides of the split.
"""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.cluster.vq import kmeans2

from pipeline.compose.sides import SIDES, Side


def group_by_colours(colours: np.ndarray, sides: Sequence[Side], wanted: int, seed: int) -> list[int]:
    """The place of each background, of which `colours` (N, D) tell what it looks like; at most `wanted` places.

    The test side, which has fewer, is grouped; the training side goes to the nearest group.
    """
    test = colours[np.array(sides) == "test"]
    count = max(1, min(wanted, len(np.unique(test, axis=0))))
    with warnings.catch_warnings(action="ignore"):  # of groups without members, which are no places
        centres = kmeans2(test, count, minit="++", rng=np.random.default_rng(seed))[0]
    members = [(int(group), side) for group, side in zip(_nearest(colours, centres), sides, strict=True)]
    whole = [group for group in range(count) if all((group, side) in members for side in SIDES)]
    return _nearest(colours, centres[whole]).tolist() if whole else [0] * len(colours)


def _nearest(colours: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.argmin(np.linalg.norm(colours[:, None] - centres[None], axis=2), axis=1)


def related_order(sounds: Mapping[str, np.ndarray]) -> list[str]:
    """Classes in an order in which those whose sounds (mean descriptor (D,) of each) are alike stand together."""
    labels = sorted(sounds)
    if len(labels) < 3:
        return labels
    return [labels[place] for place in leaves_list(linkage(np.stack([sounds[label] for label in labels]), "average"))]
