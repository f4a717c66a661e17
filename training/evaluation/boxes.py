"""Boxes as an answer: what a method puts out that chooses among region proposals, scored where maps are.

On disk they are arrays of a `maps.npz`: `names` (N,), `predicted_boxes` (M, 4) as x1, y1, x2, y2 in fractions of what
was shown, `predicted_owner` (M,) the row of `names` each belongs to, and optionally `predicted_scores` (M,). A clip's
mask is the union of its boxes, filled as annotated ones are; its confidence is its highest score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manifests.errors import InputError
from manifests.pixels import SIZE
from training.evaluation.given_arrays import LARGEST, names_of, numbers
from training.evaluation.raw_maps import RawMaps
from training.evaluation.truth import pixel_box

ARRAYS = ("names", "predicted_boxes", "predicted_owner")
SCORES = "predicted_scores"
FARTHEST = 2.0  # of a box's numbers: fractions reach beyond what was shown a little, pixels by far


@dataclass(frozen=True)
class BoxMaps(RawMaps):
    """Masks of boxes as maps (N, 224, 224) of 0 and 1, with the boxes (n, 5) of each name: x1, y1, x2, y2, score."""

    boxes: Sequence[np.ndarray] = ()


def box_maps(names: Sequence[str], boxes: Sequence[np.ndarray]) -> BoxMaps:
    """Boxes (n, 5) of each name, best first, as maps.

    A name without boxes has an empty mask and the confidence 0, or a number below every score where 0 is not.
    """
    lowest = min((float(own[:, 4].min()) for own in boxes if len(own)), default=1.0)
    nothing = 0.0 if lowest > 0 else lowest - max(1.0, -lowest)
    confidence = np.array([own[:, 4].max() if len(own) else nothing for own in boxes], np.float64)
    masks = np.stack([box_mask(own[:, :4]) for own in boxes]) if len(boxes) else np.zeros((0, SIZE, SIZE), np.uint8)
    return BoxMaps(list(names), masks, confidence=confidence, boxes=list(boxes))


def box_mask(boxes: np.ndarray) -> np.ndarray:
    """uint8 (224, 224): 1 in the boxes (n, 4)."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for x1, y1, x2, y2 in (pixel_box((box[0], box[1], box[2], box[3])) for box in boxes.tolist()):
        mask[y1:y2, x1:x2] = 1
    return mask


def boxes_by_name(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The boxes (n, 5) of every name of a file, in the file's order; scores are 1 where the file has none.

    InputError when arrays do not fit one another, an owner is no row of `names`, a number is NaN, infinite or too large
    for a score, or a box lies as far outside as one in pixels does.
    """
    names = names_of(arrays)
    boxes = numbers(arrays, "predicted_boxes", ("M", 4)).astype(np.float64)
    owner = numbers(arrays, "predicted_owner", (len(boxes),), whole=True)
    scores = numbers({SCORES: np.ones(len(boxes)), **arrays}, SCORES, (len(boxes),)).astype(np.float64)
    if len(owner) and not 0 <= owner.min() <= owner.max() < len(names):
        raise InputError(f"predicted_owner must hold rows of names, whole numbers from 0 to {len(names) - 1}.")
    whole = np.column_stack([boxes, scores])
    _check_values(whole, owner, names)
    return [whole[owner == row] for row in range(len(names))]


def _check_values(whole: np.ndarray, owner: np.ndarray, names: Sequence[str]) -> None:
    """InputError for boxes with their scores (M, 5) of which one is no number, or no box in fractions."""
    if not np.isfinite(whole).all():
        first = int(owner[~np.isfinite(whole).all(axis=1)][0])
        raise InputError(f"A box of {names[first]}, or its score, holds NaN or infinity.")
    if (far := (np.abs(whole[:, :4]) > FARTHEST).any(axis=1)).any():
        row = int(far.argmax())
        raise InputError(
            f"A box of {names[owner[row]]} is {', '.join(f'{side:g}' for side in whole[row, :4])}, far outside of what "
            "was shown: these may be pixels. Give x1, y1, x2, y2 as fractions, from 0 to 1."
        )
    if (np.abs(whole[:, 4]) > LARGEST).any():
        raise InputError(f"{SCORES} hold numbers beyond {LARGEST:g}. Scale all scores by one factor.")


def read_boxes(arrays: Mapping[str, np.ndarray]) -> BoxMaps:
    """The boxes of a file as maps. InputError as `boxes_by_name`."""
    return box_maps(names_of(arrays), boxes_by_name(arrays))


def as_arrays(boxes: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Boxes (n, 5) of each name as the arrays of a file."""
    owner = np.repeat(np.arange(len(boxes)), [len(own) for own in boxes])
    whole = np.concatenate([*boxes, np.zeros((0, 5))])
    return {"predicted_boxes": whole[:, :4], "predicted_owner": owner, SCORES: whole[:, 4]}
