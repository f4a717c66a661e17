"""Images with the statistics of natural ones, drawn here: overlapping discs of all sizes."""

import numpy as np
from PIL import Image, ImageDraw

CANVAS = 900  # pixels


def dead_leaves(random: np.random.Generator) -> Image.Image:
    """Discs whose radii follow r^-3, painted over one another."""
    canvas = Image.new("RGB", (CANVAS, CANVAS))
    draw = ImageDraw.Draw(canvas)
    radii = np.minimum(6 / np.sqrt(random.uniform(1e-4, 1, 6000)), 250)
    for radius, (x, y), colour in zip(
        radii, random.uniform(0, CANVAS, (6000, 2)), random.integers(20, 235, (6000, 3)), strict=True
    ):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(int(c) for c in colour))
    return canvas
