"""One frame with its heat map: coloured where the model looked, dark where the model was shown nothing."""

import numpy as np
from PIL import Image, ImageDraw

from manifests.annotations import WHOLE, Box

COLOURED_SIDE = 128  # the map is coloured at this size and then enlarged to what it covers
SATURATION = 0.45
UNSEEN_BRIGHTNESS = 0.35
BOX_COLOUR, LINES_A_SIDE = (77, 227, 255), 240


def blend(
    pixels: np.ndarray, heat: np.ndarray, scale: tuple[float, float], palette: np.ndarray, part: Box = WHOLE
) -> Image.Image:
    """A map (h, w) over a frame (H, W, 3) uint8; `scale` values meet the ends of the palette (levels, 4) RGBA.

    The map covers `part` of the frame, each cell an equal share; values between cell centres are bilinear. What lies
    outside the part is grey and dark: it was not seen.
    """
    image = Image.fromarray(pixels)
    grey = image.convert("L").convert("RGB")
    drawn = Image.blend(grey, image, SATURATION)
    if part != WHOLE:
        unseen = grey.point(lambda value: round(UNSEEN_BRIGHTNESS * value))
        unseen.paste(drawn.crop(_pixels(part, image.size)), _pixels(part, image.size))
        drawn = unseen
    left, top, right, bottom = _pixels(part, image.size)
    colours, opacity = _coloured(heat, scale, palette, (right - left, bottom - top))
    drawn.paste(colours, (left, top), mask=opacity)
    return drawn


def framed(image: Image.Image, boxes: np.ndarray) -> Image.Image:
    """The image with boxes (n, 5) drawn on it, fractions and a score; the first one is drawn stronger."""
    drawing = ImageDraw.Draw(image)
    wide = max(1, round(min(image.size) / LINES_A_SIDE))
    for number, box in enumerate(boxes.tolist()):
        corners = _pixels((box[0], box[1], box[2], box[3]), image.size)
        drawing.rectangle(corners, outline=BOX_COLOUR, width=wide if number else 2 * wide)
    return image


def _pixels(part: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A part in whole pixels of an image of this width and height."""
    left, top, right, bottom = (round(border * side) for border, side in zip(part, size * 2, strict=True))
    return left, top, right, bottom


def _coloured(
    heat: np.ndarray, scale: tuple[float, float], palette: np.ndarray, size: tuple[int, int]
) -> tuple[Image.Image, Image.Image]:
    """Colours and opacity of a map at `size` (width, height)."""
    low, high = scale
    enlarged = Image.fromarray(heat.astype(np.float32)).resize((COLOURED_SIDE,) * 2, Image.Resampling.BILINEAR)
    position = np.clip((np.asarray(enlarged) - low) / (high - low), 0.0, 1.0)
    coloured = palette[np.round(position * (len(palette) - 1)).astype(int)]
    colours, opacity = (
        Image.fromarray(np.ascontiguousarray(part)).resize(size, Image.Resampling.BILINEAR)
        for part in (coloured[:, :, :3], coloured[:, :, 3])
    )
    return colours, opacity
