"""Which pixels of a frame sound, of any truth that says so: pixel masks, or the union of boxes where there are none."""

from collections.abc import Sequence

import numpy as np

from manifests.annotations import WHOLE
from manifests.class_maps import load_classes
from manifests.masks import load_grey_mask, load_mask
from manifests.pixels import SIZE
from manifests.test_sets import MaskSet, Truth
from training.evaluation.truth import weight_maps


def true_masks(truth: Truth, keys: Sequence[str]) -> np.ndarray:
    """bool (F, 224, 224) of the frames `keys`. InputError names a mask that cannot be read."""
    return weights_of(truth, keys) > 0


def weights_of(truth: Truth, keys: Sequence[str]) -> np.ndarray:
    """float32 (F, 224, 224) in [0, 1]: masks as 0 and 1, boxes as `weight_maps` gives them."""
    if truth.masks is not None:
        return np.stack([_mask(truth, truth.masks, key) for key in keys]).astype(np.float32)
    by_key = {annotation.key: annotation for annotation in truth.test_set.annotations}
    return weight_maps([by_key[key] for key in keys])


def truth_from(truth: Truth) -> str:
    """What a result says its truth was: "masks" or "boxes"."""
    return "boxes" if truth.masks is None else "masks"


def _mask(truth: Truth, found: MaskSet, key: str) -> np.ndarray:
    """Where pixels have classes, what has one: no colour of a file has to be guessed at then."""
    shown = found.shown.get(key, WHOLE)
    if truth.classes is not None:
        return load_classes(truth.classes.files[key], truth.classes.coding, (SIZE, SIZE), shown) > 0
    if found.light_from is None:
        return load_mask(found.masks[key], SIZE, shown)
    return load_grey_mask(found.masks[key], found.light_from, SIZE, shown)
