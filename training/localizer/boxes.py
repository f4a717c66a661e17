"""From a heat map to boxes: what lies above a threshold, connected, each with its highest value for a score."""

import numpy as np

from manifests.annotations import Box
from manifests.views import of_frame
from training.overlay.canvas import COLOURED_SIDE
from training.overlay.panels import enlarged

SMALLEST = 0.25  # of a cell; what is smaller came about between cells


def boxes_above(heat: np.ndarray, threshold: float, part: Box) -> list[tuple[float, float, float, float, float]]:
    """Boxes x1, y1, x2, y2 (fractions of the frame) and the score of what of a map reaches the threshold, best first.

    The map covers `part` of the frame.
    """
    from scipy.ndimage import find_objects, label

    values = enlarged(heat)
    regions, _ = label(values >= threshold)
    found, smallest = [], SMALLEST * values.size / heat.size
    for number, (rows, columns) in enumerate(find_objects(regions), start=1):
        own = regions[rows, columns] == number
        if np.count_nonzero(own) < smallest:
            continue
        corners = (columns.start, rows.start), (columns.stop, rows.stop)
        x1, y1, x2, y2 = (side for x, y in corners for side in of_frame(x / COLOURED_SIDE, y / COLOURED_SIDE, part))
        score = float(values[rows, columns][own].max())
        found.append((x1, y1, x2, y2, min(score, 1.0)))
    return sorted(found, key=lambda box: -box[4])
