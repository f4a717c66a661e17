"""Predicted boxes, listed clip by clip, and how well they match annotated ones box by box.

The union of two boxes may cover two objects with one box too many and one missing; here each predicted box is assigned
to at most one annotated one, so that the sum of IoUs is largest, and the mean is taken over the annotated boxes. As
where masks are compared, both are cut at the border of what was shown, and boxes that cover nothing of it are left out.
"""

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from manifests.annotations import Annotation
from manifests.commands.counting import counted
from manifests.views import inside
from training.evaluation.boxes import BoxMaps
from training.evaluation.metrics import Scored
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.raw_maps import match_names
from training.evaluation.scores import Score

SCORES = (Score("matched_iou", "matched IoU", "mean IoU of annotated boxes with the predicted ones assigned to them."),)


def applies(scored: Scored) -> bool:
    """To boxes."""
    return isinstance(scored.raw, BoxMaps)


def reduce(scored: Scored) -> dict[str, Any]:
    """`boxes`: every clip's boxes with their scores, fractions of what was shown; the mean over clips; `overlapping`:
    the clips with boxes that share pixels, as a method of boxes apart gives them where no region is left that is;
    `without_area`: how many predicted boxes cover nothing of what was shown."""
    assert isinstance(scored.raw, BoxMaps)
    positions = match_names(scored.raw.names, scored.truth.test_set, scored.truth.extended)
    boxes = scored.raw.boxes
    clips = [clip for clip in scored.truth.test_set.annotations if clip.key in positions and clip.boxes]
    matched = [matched_iou(covering(boxes[positions[clip.key]][:, :4]), _annotated(clip)) for clip in clips]
    listed = {key: [_listed(box) for box in boxes[at].tolist()] for key, at in positions.items()}
    overlapping = [key for key, at in positions.items() if overlap(boxes[at][:, :4])]
    scores = {"matched_iou": float(np.mean(matched))} if matched else {}
    empty = sum(len(boxes[at]) - len(covering(boxes[at][:, :4])) for at in positions.values())
    return {AUDIO_VISUAL: scores, "boxes": listed, "overlapping": overlapping, "without_area": empty}


def values(block: dict[str, Any], map_name: str) -> dict[str, float]:
    """The matched IoU of the one map there is."""
    return block.get(map_name, {})


def heading(block: dict[str, Any], map_name: str) -> str:
    overlapping, empty = len(block.get("overlapping", ())), block.get("without_area", 0)
    found = [f"boxes that overlap in {counted(overlapping, 'clip')}"] if overlapping else []
    found += [f"{counted(empty, 'box', 'boxes')} without area"] if empty else []
    return f"box by box, with {' and '.join(found)}" if found else "box by box"


def covering(boxes: np.ndarray) -> np.ndarray:
    """The boxes (n, 4), in fractions of what was shown, cut at its border; without those that cover nothing of it."""
    cut = np.clip(boxes, 0, 1)
    return cut[(cut[:, :2] < cut[:, 2:]).all(axis=1)]


def _annotated(clip: Annotation) -> np.ndarray:
    """float64 (m, 4): a clip's boxes as `covering` has them."""
    return covering(np.array([inside(box, clip.shown) for box in clip.boxes]))


def matched_iou(predicted: np.ndarray, annotated: np.ndarray) -> float:
    """Mean over annotated boxes (m, 4) of their IoU under the best assignment of predicted ones (n, 4).

    0 without an annotated box: as everywhere, such a clip can only be lost.
    """
    if not len(annotated):
        return 0.0
    iou = pairwise_iou(predicted, annotated)
    rows, columns = linear_sum_assignment(-iou)
    return float(iou[rows, columns].sum() / len(annotated))


def overlap(boxes: np.ndarray) -> bool:
    """Whether two of the boxes (n, 4) share pixels."""
    return bool(np.triu(pairwise_iou(boxes, boxes), 1).any())


def pairwise_iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """IoU of boxes (n, 4) and (m, 4): float64 (n, m); 0 where a box has no area."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (one, other)]
    union = area[0][:, None] + area[1][None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _listed(box: list[float]) -> dict[str, Any]:
    return {"box": [round(side, 6) for side in box[:4]], "score": box[4]}
