"""The colours of heat maps, the same on the report's page and over videos: inferno, opaque where the value is high.

Equal steps of value look equally far apart, and the scale reads in grey as well (it only grows brighter).
"""

import numpy as np

SCALE = "inferno"
DARKEST, BRIGHTEST = 0.18, 0.97  # the part of inferno that stands out from a photograph
MOST_OPAQUE = 0.9


def heat_palette(levels: int) -> np.ndarray:
    """uint8 (levels, 4) RGBA, from fully transparent to MOST_OPAQUE."""
    from matplotlib import colormaps

    position = np.linspace(0.0, 1.0, levels)
    colours = colormaps[SCALE](DARKEST + (BRIGHTEST - DARKEST) * position)
    colours[:, 3] = MOST_OPAQUE * position**0.85
    return np.round(255 * colours).astype(np.uint8)
