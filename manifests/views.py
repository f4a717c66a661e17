"""Which part of a frame a model is shown when it is tested, and where things of the frame lie in that part.

`squash` shows the whole frame, made square (EZ-VSL, SLAVC, FNAC, SSLalignment). `centre_crop` brings the short side to
the model's size and shows the square in the middle (LVS, SSL-TIE, SSPL on Flickr: torchvision's Resize and CenterCrop).

Truth is seen through the same window: boxes and masks are cut at its border. A box that lies wholly outside covers no
pixel. It is no reason to leave its clip out: as in every released evaluator, where a box may cover nothing as well, the
clip stays, and one without another box has an empty truth and can only be lost. (In one point those three evaluators
are not followed: they lay boxes of the whole frame over the map of the crop, which misses the object in every frame
that is not square.)
"""

from dataclasses import dataclass
from typing import Literal, get_args

from manifests.annotations import Box

ViewName = Literal["squash", "centre_crop"]
VIEWS: tuple[ViewName, ...] = get_args(ViewName)
IN_WORDS: dict[str, str] = {
    "squash": "the whole frame, made square",
    "centre_crop": "the square in the middle of the frame; truth outside of it is cut off",
}


@dataclass(frozen=True)
class Window:
    """How a frame becomes a square of `size` pixels: resized to (height, width), cut from (top, left) on."""

    height: int
    width: int
    top: int
    left: int
    size: int

    @property
    def part(self) -> Box:
        """What is shown: x1, y1, x2, y2 as fractions of the frame."""
        right, bottom = self.left + self.size, self.top + self.size
        return self.left / self.width, self.top / self.height, right / self.width, bottom / self.height


def window(view: ViewName, height: int, width: int, size: int) -> Window:
    """The window of a view on a frame of these pixels, for a model that sees `size` x `size`."""
    if view == "squash":
        return Window(size, size, 0, 0, size)
    short = min(height, width)
    tall, wide = (size if side == short else int(size * side / short) for side in (height, width))
    return Window(tall, wide, round((tall - size) / 2), round((wide - size) / 2), size)


def inside(box: Box, part: Box) -> Box:
    """A box of the frame in fractions of a part of it: below 0 or above 1 where it reaches outside."""
    (x1, y1, x2, y2), (left, top, right, bottom) = box, part
    wide, tall = right - left, bottom - top
    return (x1 - left) / wide, (y1 - top) / tall, (x2 - left) / wide, (y2 - top) / tall


def of_frame(x: float, y: float, part: Box) -> tuple[float, float]:
    """A point given in fractions of a part, in fractions of the whole frame."""
    left, top, right, bottom = part
    return left + x * (right - left), top + y * (bottom - top)
