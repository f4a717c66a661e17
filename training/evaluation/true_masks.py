"""Which pixels of a frame sound, of any truth that says so: pixel masks, or the union of boxes where there are none."""

from collections.abc import Sequence

import numpy as np

from manifests.annotations import WHOLE
from manifests.masks import load_grey_mask, load_mask
from manifests.test_sets import MaskSet
from manifests.truth import Truth
from training.evaluation.truth import weight_maps


def true_masks(truth: Truth, keys: Sequence[str]) -> np.ndarray:
    """bool (F, 224, 224) of the frames `keys`. InputError names a mask that cannot be read."""
    return weights_of(truth, keys) > 0


def weights_of(truth: Truth, keys: Sequence[str]) -> np.ndarray:
    """float32 (F, 224, 224) in [0, 1]: masks as 0 and 1, boxes as `weight_maps` gives them."""
    if truth.masks is not None:
        return np.stack([_mask(truth.masks, key) for key in keys]).astype(np.float32)
    by_key = {annotation.key: annotation for annotation in truth.test_set.annotations}
    return weight_maps([by_key[key] for key in keys])


def truth_from(truth: Truth) -> str:
    """What a result says its truth was: "masks" or "boxes"."""
    return "boxes" if truth.masks is None else "masks"


def _mask(found: MaskSet, key: str) -> np.ndarray:
    shown = found.shown.get(key, WHOLE)
    if found.light_from is None:
        return load_mask(found.masks[key], shown=shown)
    return load_grey_mask(found.masks[key], found.light_from, shown=shown)
