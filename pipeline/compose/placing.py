"""Where the objects of a scene stand, and which cut-out and recordings each of them has.

Sizes are such that the part of an object inside the frame has a box of the wished area; places overlap little. The
first object stands as near the middle as the boxes of VGG-SS do, unless all are to be spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pipeline.compose.pieces import Motion, Shelf, Thing
from pipeline.synth.scene import box_at, candidate_box, overlap, slack_of

TRIES = 16  # places tried for an object beside others
CANDIDATES = 12  # cut-outs tried for a size
MOST_CUT = 1.7  # an object may be so many times as long as the frame: the rest of it lies outside
MOST_STRETCH = 1.25  # of an object's sides against each other
# Deviation (x, y) in shares of the frame. VGG-SS's 4,619 clips of one box have middles that deviate by 0.117 and 0.140,
# the small ones more than the large, since a large one hardly fits elsewhere: a normal within what fits gives the same.
MIDDLE_DEVIATION = (0.13, 0.27)
PASSAGE_RECORDINGS = 3  # at most so many recordings of a class are put one after the other


@dataclass(frozen=True)
class Wish:
    """An object still to be placed: the share of the frame that its box should take, its gain."""

    label: str
    area: float
    gain: float
    on_screen: bool = True


def placed(
    wishes: Sequence[Wish], shelf: Shelf, width: int, height: int, spread: bool, rng: np.random.Generator
) -> tuple[Thing, ...]:
    """The wished objects in painting order, large ones first; each where it overlaps least with those before it.

    The first of them has nothing to overlap with. It stands near the middle, or where it fits if they are `spread`.
    """
    things: list[Thing] = []
    taken: list[np.ndarray] = []
    for wish in wishes:
        image, size = _fitting(wish, shelf, width, height, rng) if wish.on_screen else (None, np.ones(2))
        frame = np.array([width, height], float)
        draw = candidate_box if taken or spread else _near_the_middle
        box = min((draw(size, frame, rng) for _ in range(TRIES if taken else 1)), key=lambda box: overlap(box, taken))
        if wish.on_screen:
            taken.append(box)
        things.append(_thing(wish, image, box, shelf, frame, rng))
    return tuple(sorted(things, key=lambda thing: -thing.box[2] * thing.box[3]))


def _thing(
    wish: Wish, image: int | None, box: np.ndarray, shelf: Shelf, frame: np.ndarray, rng: np.random.Generator
) -> Thing:
    recordings = (shelf.sounds.get(wish.label) or shelf.foreign[wish.label]) if wish.gain else ()
    chosen = rng.permutation(len(recordings))[:PASSAGE_RECORDINGS]
    left, top, right, bottom = box.tolist()
    return Thing(
        label=wish.label,
        image=image,
        box=(left, top, right - left, bottom - top),
        mirrored=bool(rng.random() < 0.5),
        gain=wish.gain,
        recordings=tuple(recordings[place] for place in chosen),
        brightness=float(rng.uniform(0.8, 1.15)),
        motion=Motion(
            velocity=tuple((rng.uniform(-0.05, 0.05, 2) * frame).tolist()),
            sway=tuple((rng.uniform(0, 0.03, 2) * frame).tolist()),
            pace=float(rng.uniform(1.5, 5)),
            phase=float(rng.uniform(0, 2 * np.pi)),
            throb=float(rng.uniform(0.02, 0.08)),
        ),
    )


def _near_the_middle(size: np.ndarray, frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box of `size` as `candidate_box` draws it, but for its middle, which is of a normal about the frame's."""
    normal, limits = NormalDist(), slack_of(size, frame) / 2 / (MIDDLE_DEVIATION * frame)
    below = np.array([normal.cdf(-limit) for limit in limits.tolist()])  # of the normal, what lies outside on each side
    chances = below + rng.random(2) * (1 - 2 * below)
    away = np.array([normal.inv_cdf(chance) for chance in chances.tolist()])
    return box_at(away * MIDDLE_DEVIATION * frame, size, frame)


def _fitting(wish: Wish, shelf: Shelf, width: int, height: int, rng: np.random.Generator) -> tuple[int, np.ndarray]:
    """A cut-out of the class, and the size (2,) at which the part inside the frame has a box of the wished area.

    Of some drawn cut-outs the first that need not leave the frame, else the one that comes nearest to the area.
    """
    images = shelf.images[wish.label]
    best: tuple[float, int, np.ndarray] | None = None
    for place in rng.integers(len(images), size=CANDIDATES):
        stretch = float(np.exp(rng.uniform(-1, 1) * np.log(MOST_STRETCH) / 2))
        size = _size_for(images[place].width * stretch / images[place].height, wish.area, width, height)
        shown = np.prod(np.minimum(size, [width, height])) / (width * height)
        cost = abs(shown - wish.area) + 0.2 * float(np.max(size / [width, height]) > 1.02)
        if best is None or cost < best[0] - 1e-9:
            best = cost, images[place].number, size
    assert best is not None
    return best[1], best[2]


def _size_for(aspect: float, area: float, width: int, height: int) -> np.ndarray:
    """(width, height) of an object of an aspect whose part inside the frame takes `area` of it, where that can be."""
    size = np.sqrt(area * width * height * np.array([aspect, 1 / aspect]))
    frame = np.array([width, height], float)
    longer = int(np.argmax(size / frame))
    if size[longer] > frame[longer]:
        across = area * frame[1 - longer]  # the longer side fills the frame; the other one makes the area
        scale = min(across / size[1 - longer], MOST_CUT * frame[longer] / size[longer])
        size = size * scale
    return size
