"""Which photographs are one place, and which classes are related, for surroundings that go with a class.

Backgrounds in folders are of the place that the folder names; others are grouped by their colours. Classes that sound
alike are related. Every place has backgrounds on both sides of the split.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.cluster.vq import kmeans2

from pipeline.compose.sides import SIDES, Side

FEWEST_PER_PLACE = 5


def group_by_colours(colours: np.ndarray, sides: Sequence[Side], wanted: int, seed: int) -> list[int]:
    """The place of each background, of which `colours` (N, D) tell what it looks like; at most `wanted` places."""
    count = max(1, min(wanted, len(colours) // FEWEST_PER_PLACE))
    centres, groups = kmeans2(colours, count, minit="++", seed=np.random.default_rng(seed), missing="warn")
    whole = [group for group in range(count) if {sides[n] for n in np.flatnonzero(groups == group)} == set(SIDES)]
    if not whole:
        return [0] * len(colours)
    distances = np.linalg.norm(colours[:, None] - centres[whole][None], axis=2)
    return np.argmin(distances, axis=1).tolist()


def related_order(sounds: Mapping[str, np.ndarray]) -> list[str]:
    """Classes in an order in which those whose sounds (mean descriptor (D,) of each) are alike stand together."""
    labels = sorted(sounds)
    if len(labels) < 3:
        return labels
    return [labels[place] for place in leaves_list(linkage(np.stack([sounds[label] for label in labels]), "average"))]
