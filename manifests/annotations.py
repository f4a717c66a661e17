"""The truth a localizer is scored against: annotated clips, in one form for all corpora.

Each reader of this package turns one corpus' format into a `TestSet`; evaluation sees nothing else. Boxes are kept
exactly as read, garbage included: what a dirty box means is decided, counted and reported by evaluation.
A file in another unit is refused, and so is one whose boxes are written in another way.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from manifests.errors import InputError
from manifests.files.content import Content
from manifests.files.given import shortened
from manifests.namesakes import Names, Place, place_of

Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
LARGEST = 1e18  # of a box's numbers; VGG-SS as released has uninitialised ones of 3e16
HANDFUL = 4  # boxes outside of their frames that say nothing of the others; released files have stray ones
FARTHEST = 2.0  # a number of a box beyond it is of another unit; such a box lies mostly outside of its frame
BELIEVABLE = 1e6  # a number of a box above it was never written, and says nothing of the unit
MOST_REVERSED = 0.1  # of a file's boxes; released ones have none but uninitialised ones, x, y, width, height has 0.4
ROUNDING = 0.02  # what a box given by its corner and size may reach over the frame
CONVENTIONS: tuple[tuple[str, Callable[[Box], bool]], ...] = (  # the first that all boxes of a file fit is named
    (
        "as where the far corner comes first: put the upper left one first",
        lambda box: box[2] <= box[0] and box[3] <= box[1],
    ),
    (
        "as where y is counted from below: write x1, 1 - y1, x2, 1 - y2",
        lambda box: box[0] <= box[2] and box[3] <= box[1],
    ),
    (
        "as x, y, width, height has them: write x, y, x + width, y + height",
        lambda box: max(box[0] + box[2], box[1] + box[3]) <= 1 + ROUNDING,
    ),
    ("as x1, x2, y1, y2 has them: write x1, y1, x2, y2", lambda box: box[0] <= box[1] and box[2] <= box[3]),
)
MOST_SHOWN = 200  # characters of a value in a message


@dataclass(frozen=True)
class Annotation:
    """One clip: `boxes` are x1, y1, x2, y2 as fractions of the frame's width and height, origin top left, as read.

    `consensus` is how many boxes must cover a pixel for it to count fully: 1 for a union of boxes (VGG-SS), 2 for
    Flickr-SoundNet, where a pixel that only one box covers weighs one half. `shown` is the part of the frame that a
    model was shown (`manifests.views`): what is scored is the truth within it. `folders` are those the file names the
    clip in.
    """

    key: str
    label: str | None
    boxes: tuple[Box, ...]
    consensus: int = 1
    shown: Box = WHOLE
    folders: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def named(cls, text: str, label: str | None, boxes: tuple[Box, ...], consensus: int = 1) -> "Annotation":
        """Of the clip that `text` names: a file with or without its folders and suffix, or a key."""
        *folders, key = place_of(text)
        return cls(key, label, boxes, consensus, folders=tuple(folders))

    @property
    def in_full(self) -> str:
        """The clip with the folders that the file names it in, for people."""
        return "/".join((*self.folders, self.key))


@dataclass(frozen=True)
class TestSet:
    """A named list of annotated clips; `sha256` identifies the file it was read from, `source` says where it was.

    `places` has the folders of clips that the file names in folders (`manifests.namesakes`).
    """

    __test__ = False  # not a pytest class

    name: str
    annotations: tuple[Annotation, ...]
    source: str
    sha256: str
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """Clip keys in file order."""
        return tuple(annotation.key for annotation in self.annotations)

    @property
    def names(self) -> Names:
        """The keys with their folders."""
        return Names(self.keys, self.places, self.source)

    def with_keys(self, names: Mapping[str, str]) -> "TestSet":
        """With other keys, by the present ones, for the clips of which there are any."""
        renamed = (replace(one, key=names.get(one.key, one.key)) for one in self.annotations)
        return replace(self, annotations=tuple(renamed), places={}) if names else self

    @property
    def labels(self) -> dict[str, str | None]:
        """Class of every clip by key."""
        return {annotation.key: annotation.label for annotation in self.annotations}


def make_test_set(name: str, annotations: Iterable[Annotation], content: Content) -> TestSet:
    """Close a reader's work: InputError when a key occurs twice or nothing was read."""
    annotations = tuple(annotations)
    if not annotations:
        raise InputError(f"{content.path} holds no annotated clip. Check that it is a {name} annotation file.")
    names = Names.of([(*annotation.folders, annotation.key) for annotation in annotations], str(content.path))
    seen: set[str] = set()
    for key, annotation in zip(names.keys, annotations, strict=True):
        if key in seen:
            raise InputError(f"{content.path} annotates {annotation.in_full} twice. Remove one of the two entries.")
        seen.add(key)
    _check_fractions(annotations, str(content.path))
    _check_corners(annotations, str(content.path))
    annotations = tuple(replace(one, key=key) for one, key in zip(annotations, names.keys, strict=True))
    return TestSet(name, annotations, str(content.path), content.sha256, names.places)


def _check_fractions(annotations: Sequence[Annotation], source: str) -> None:
    """InputError for a box with numbers of another unit, and when most boxes of a file lie outside of their frames."""
    boxes = [(each.in_full, box) for each in annotations for box in each.boxes]
    outside = [(key, box) for key, box in boxes if _is_outside(box)]
    foreign = [(key, box) for key, box in outside if _far_numbers(box)]
    if not foreign and (len(outside) <= HANDFUL or 2 * len(outside) < len(boxes)):
        return
    wrong = foreign or outside
    (key, first), largest = wrong[0], max((value for _, box in wrong for value in _far_numbers(box)), default=math.inf)
    raise InputError(
        f"{source} gives boxes that are no fractions of their frames: {len(wrong):,} of {len(boxes):,} lie mostly "
        f"outside of 0 to 1, the first of them {list(first)} of {key}, with numbers up to {largest:g}, as pixels or "
        "per cent have them. Divide x by the frame's width and y by its height (per cent by 100), so that every box is "
        "x1, y1, x2, y2 from 0 to 1."
    )


def _check_corners(annotations: Sequence[Annotation], source: str) -> None:
    """InputError where many boxes of a file end before they begin: their numbers mean something else than corners."""
    boxes = [(each.key, box) for each in annotations for box in each.boxes if max(map(abs, box)) <= BELIEVABLE]
    reversed_ones = [(key, box) for key, box in boxes if box[2] < box[0] or box[3] < box[1]]
    slip = len(reversed_ones) == 1 < len(boxes)  # which tells nothing of the others
    if slip or len(reversed_ones) <= MOST_REVERSED * len(boxes):
        return
    looks = next((what for what, fits in CONVENTIONS if all(fits(box) for _, box in boxes)), "as no corners have them")
    key, first = reversed_ones[0]
    raise InputError(
        f"{source} gives boxes that are not x1, y1, x2, y2: {len(reversed_ones):,} of {len(boxes):,} end before they "
        f"begin (x2 < x1 or y2 < y1), the first of them {list(first)} of {key}, {looks}. A box is its upper left "
        "corner and its lower right one, fractions of the frame."
    )


def _far_numbers(box: Box) -> list[float]:
    return [abs(value) for value in box if FARTHEST < abs(value) < BELIEVABLE]


def _is_outside(box: Box) -> bool:
    """Whether less than half of a box lies within the frame; of one without area, whether a corner lies outside."""
    (x1, x2), (y1, y2) = sorted(box[::2]), sorted(box[1::2])
    area = (x2 - x1) * (y2 - y1)
    within = max(0.0, min(x2, 1.0) - max(x1, 0.0)) * max(0.0, min(y2, 1.0) - max(y1, 0.0))
    return within < area / 2 if area else not (0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1)


def read_box(values: Any, where: str) -> Box:
    """Four finite numbers as a box; `where` names file and entry for the error."""
    numbers = isinstance(values, Sequence) and all(isinstance(value, int | float) for value in values)
    if not numbers or len(values) != 4 or not all(abs(value) <= LARGEST for value in values):
        shown = shortened(repr(values), MOST_SHOWN)
        raise InputError(f"{where} has the box {shown}. A box is four finite numbers; correct or remove it.")
    x1, y1, x2, y2 = (float(value) for value in values)
    return x1, y1, x2, y2


def read_name(value: Any, where: str) -> str:
    """The name of a clip or an image: text that is not empty. InputError names its place."""
    if not isinstance(value, str) or not PurePosixPath(value.strip()).name:
        raise InputError(f"{where} is {shortened(repr(value), MOST_SHOWN)}, which names no clip. Correct or remove it.")
    return value


def read_label(value: Any, where: str) -> str | None:
    """A class, None where none is said: text, or a number that stands for one. InputError names its place."""
    if value is not None and type(value) not in (str, int):
        shown = shortened(repr(value), MOST_SHOWN)
        raise InputError(f"{where} has the class {shown}. A class is one text or number; correct or remove it.")
    return None if value is None else str(value)


def corners(x: float, y: float, width: float, height: float, size: int) -> Box:
    """The box of a corner and a size, all fractions.

    The far corner truncates to int(size * x + size * width), as released code computes it; x + width alone is a pixel
    off for 4 in 1,000 MUSIC boxes, by the last bit of the sum.
    """
    return x, y, _far_corner(x, width, size), _far_corner(y, height, size)


def _far_corner(start: float, length: float, size: int) -> float:
    far, pixel = start + length, int(size * start + size * length)
    while int(size * far) != pixel:
        far = math.nextafter(far, math.inf if int(size * far) < pixel else -math.inf)
    return far


def pixel_fraction(pixel: float, size: int) -> float:
    """`pixel` of a grid of `size` as the fraction that truncates back to it: int(size * fraction) == int(pixel).

    Plain division falls one short for a few values (61, 115 and 122 of 224), hence the nudge.
    """
    fraction = pixel / size
    return math.nextafter(fraction, math.inf) if int(size * fraction) < int(pixel) else fraction
