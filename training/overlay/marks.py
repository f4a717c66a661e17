"""What stands on an overlay beside the heat: a ring at its highest place, the bar of its colours, a warning, boxes."""

from functools import cache

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from manifests.annotations import Box
from manifests.views import of_frame
from training.overlay.canvas import COLOURED_SIDE, Canvas
from training.overlay.colours import heat_palette
from training.overlay.planes import Colours, Stamp, fill, planes_of

BOX_COLOUR, LINES_A_SIDE = (77, 227, 255, 255), 240
FAINTEST_PEAK = 0.25  # of the scale; below, a ring would mark what is hardly there
BAR_PART, BAR_WIDTH, BAR_LEVELS = 0.34, 0.025, 128  # of the frame's height and short side
SMALLEST_LETTERS, LETTERS_PART = 9, 26  # pixels; the short side has so many letters one above the other
BEHIND = (0, 0, 0, 150)
WARNING_COLOUR, TITLE_COLOUR, LETTER_COLOUR = (255, 205, 90, 255), (255, 255, 255, 255), (255, 255, 255, 230)
LOUDEST, NOTHING = "high", "low"


class Marks:
    """Draws marks on the frames that a canvas made; what repeats is drawn once and kept."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self._stamps: dict[tuple[str, str], Stamp] = {}

    def draw(self, frame: av.VideoFrame, heat: np.ndarray, part: Box, boxes: np.ndarray, warning: str) -> None:
        """All marks of a moment: heat (COLOURED_SIDE, COLOURED_SIDE) over a part, boxes (n, 5) in fractions."""
        planes = planes_of(frame)
        for number, box in enumerate(boxes.tolist()):
            self._frame(planes, (box[0], box[1], box[2], box[3]), bold=number == 0)
        self._put(planes, "bar", "", (1.0, 1.0))
        if warning:
            self._put(planes, "warning", warning, (0.0, 0.0))
        if heat.max() >= FAINTEST_PEAK:
            self._put(planes, "ring", "", highest(heat, part))

    def title(self, frame: av.VideoFrame, text: str) -> None:
        """A line at the lower left edge."""
        self._put(planes_of(frame), "title", text, (0.0, 1.0))

    def _frame(self, planes: list[np.ndarray], box: Box, bold: bool) -> None:
        fine, colour = self.canvas.fine, self._colours.of(np.array([BOX_COLOUR], np.uint8))[0]
        left, top, right, bottom = self.canvas.box(box)
        thin = -(-max(1, round(self._short / LINES_A_SIDE)) // fine) * fine
        wide = 2 * thin if bold else thin
        for side in (
            (left, top, right, top + wide),
            (left, bottom - wide, right, bottom),
            (left, top, left + wide, bottom),
            (right - wide, top, right, bottom),
        ):
            fill(planes, side, colour, fine)

    def _put(self, planes: list[np.ndarray], what: str, text: str, place: tuple[float, float]) -> None:
        """A stamp around a point of the frame (fractions), moved so that it lies within."""
        wide, tall = self._size
        key = what, text
        if key not in self._stamps:
            self._stamps[key] = Stamp(_DRAWN[what](text, wide, tall), self._colours, self.canvas.fine)
        stamp = self._stamps[key]
        left, top = (
            round(min(max(share * side - own / 2, 0), side - own))
            for share, side, own in zip(place, (wide, tall), stamp.size, strict=True)
        )
        stamp.put(planes, left, top)

    @property
    def _size(self) -> tuple[int, int]:
        return self.canvas.size

    @property
    def _short(self) -> int:
        return min(self._size)

    @property
    def _colours(self) -> Colours:
        return self.canvas.colours


def highest(heat: np.ndarray, part: Box) -> tuple[float, float]:
    """x, y of the highest place of a map over a part of the frame, in fractions of the frame; the middle of several."""
    rows, columns = np.nonzero(heat >= heat.max())
    y, x = (float(places.mean() + 0.5) / COLOURED_SIDE for places in (rows, columns))
    return of_frame(x, y, part)


def _ring(text: str, wide: int, tall: int) -> np.ndarray:
    """White between two dark lines, so that it is seen on anything."""
    radius = max(5, min(wide, tall) // 26)
    line = max(1, radius // 6)
    big = Image.new("RGBA", ((2 * radius + 4) * 4,) * 2)
    drawing, centre = ImageDraw.Draw(big), big.width / 2
    for inset, width, colour in ((0, 3 * line, (0, 0, 0, 200)), (line, line, (255, 255, 255, 255))):
        reach = 4 * (radius - inset)
        drawing.ellipse((centre - reach, centre - reach, centre + reach, centre + reach), None, colour, 4 * width)
    return np.asarray(big.reduce(4))


def _bar(text: str, wide: int, tall: int) -> np.ndarray:
    """The colours from nothing to the brightest, on black, with what their ends mean where letters have room; nothing
    where the colours have none."""
    short, high = min(wide, tall), round(BAR_PART * tall)
    font = _font(_letters(short))
    margin, across = max(2, short // 60), max(3, round(BAR_WIDTH * short))
    if high <= margin:
        return np.zeros((1, 1, 4), np.uint8)
    has_room = short >= SMALLEST_LETTERS * 12
    text_wide = max(round(font.getlength(word)) for word in (LOUDEST, NOTHING)) + margin if has_room else 0
    image = Image.new("RGBA", (across + text_wide + 3 * margin, high + 3 * margin))
    drawing = ImageDraw.Draw(image)
    drawing.rectangle((0, 0, image.width - margin, image.height - margin), BEHIND)
    palette = Image.fromarray(heat_palette(BAR_LEVELS)[::-1, None].repeat(across, axis=1)).resize(
        (across, high - margin)
    )
    left = margin + text_wide
    image.paste(Image.new("RGBA", palette.size, (0, 0, 0, 255)), (left, margin))
    image.alpha_composite(palette, (left, margin))
    if has_room:
        drawing.text((margin, margin), LOUDEST, LETTER_COLOUR, font, anchor="lt")
        drawing.text((margin, high), NOTHING, LETTER_COLOUR, font, anchor="lb")
    return np.asarray(image)


def _line(text: str, wide: int, tall: int, colour: tuple[int, int, int, int]) -> np.ndarray:
    """Words on a dark ground, as large as the frame allows; where it is tiny those before a colon, or what fits."""
    size = _letters(min(wide, tall))
    while size > SMALLEST_LETTERS and _font(size).getlength(text) > 0.92 * wide:
        size -= 1
    font, margin = _font(size), max(2, size // 3)
    if font.getlength(text) > wide - 2 * margin:
        text = text.partition(":")[0]
    while text and font.getlength(text) > wide - 2 * margin:
        text = text[:-1].rstrip()
    left, top, right, bottom = (round(side) for side in font.getbbox(text))
    image = Image.new("RGBA", (right - left + 2 * margin, bottom - top + 2 * margin), BEHIND)
    ImageDraw.Draw(image).text((margin - left, margin - top), text, colour, font)
    return np.asarray(image)


def _warning(text: str, wide: int, tall: int) -> np.ndarray:
    return _line(text, wide, tall, WARNING_COLOUR)


def _title(text: str, wide: int, tall: int) -> np.ndarray:
    return _line(text, wide, tall, TITLE_COLOUR)


_DRAWN = {"ring": _ring, "bar": _bar, "warning": _warning, "title": _title}


def _letters(short: int) -> int:
    return max(SMALLEST_LETTERS, short // LETTERS_PART)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)  # pyrefly: ignore  # with a size it is a FreeType font
