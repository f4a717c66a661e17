"""From annotated boxes to the weight map a prediction is compared with, and what is dirty about the boxes.

A box becomes pixels by truncation, int(224 * clip(value, 0, 1)), and fills rows y1:y2 and columns x1:x2, the upper
ends excluded: `load_all_bboxes` of EZ-VSL, SLAVC and SSLalignment; LVS differs only in not clipping above 1, which the
slice does anyway. A sample whose boxes are all degenerate keeps an empty map and stays a (lost) positive, as in every
released evaluator; it is counted in `n_empty_truth`. Where a model was shown a part of the frame (`manifests.views`),
pixels are those of that part, and a box is cut at its border.
"""

from collections.abc import Sequence

import numpy as np

from manifests.annotations import WHOLE, Annotation, Box
from manifests.pixels import SIZE, box_votes, pixel_box

SIZE_BUCKETS = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 144**2), "huge": (144**2, 10**8)}
FLAGS = {
    "empty_truth": "no box covers a pixel: the sample can only be lost",
    "degenerate_box": "a box of zero or negative width or height was read",
    "outside_box": "a box reaches outside the frame and was clipped",
    "outside_view": "a box reaches outside of what the model was shown and was cut off",
    "duplicate_box": "the same box was annotated more than once",
}


def weight_map(annotation: Annotation) -> np.ndarray:
    """float32 (224, 224) in [0, 1] of what was shown: boxes covering a pixel / `consensus`, at most 1.

    With consensus 1 this is the union of boxes (VGG-SS); with 2 it is the Flickr-SoundNet consensus map with values
    0, 0.5 and 1, which counts boxes, not annotators, as every released evaluator does.
    """
    return np.minimum(box_votes(annotation.boxes, SIZE, annotation.shown) / annotation.consensus, 1)


def weight_maps(annotations: Sequence[Annotation]) -> np.ndarray:
    """float32 (N, 224, 224), `weight_map` of each annotation."""
    return np.stack([weight_map(annotation) for annotation in annotations])


def box_flags(annotation: Annotation) -> list[str]:
    """Which of `FLAGS` (all but "empty_truth", which needs the map) hold for the boxes, sorted."""
    pixels = [pixel_box(box) for box in annotation.boxes]
    found = {
        "degenerate_box": any(x2 <= x1 or y2 <= y1 for x1, y1, x2, y2 in pixels),
        "outside_box": any(not 0 <= value <= 1 for box in annotation.boxes for value in box),
        "outside_view": annotation.shown != WHOLE and any(_is_cut(box, annotation.shown) for box in annotation.boxes),
        "duplicate_box": annotation.consensus == 1 and len(set(annotation.boxes)) < len(annotation.boxes),
    }
    return sorted(name for name, holds in found.items() if holds)


def _is_cut(box: Box, shown: Box) -> bool:
    """Whether some of what a box covers of the frame is not shown."""
    (x1, y1, x2, y2), (left, top, right, bottom) = (min(max(value, 0.0), 1.0) for value in box), shown
    return x1 < x2 and y1 < y2 and (x1 < left or y1 < top or x2 > right or y2 > bottom)


def size_bucket(area: float) -> str:
    """small, medium, large or huge, by the summed weight of a 224 x 224 truth map (SLAVC `EvaluatorFull`)."""
    return next(name for name, (low, high) in SIZE_BUCKETS.items() if low <= area < high)
