"""What is in a composed clip: which cut-outs, where, before which background, which of them sound, and what is heard.

A scene is drawn from the seed, the clip's index and the material alone, without reading any of it. Sizes follow
VGG-SS as those of the drawn corpus do, and places are spread as far as sizes allow. Lengths are pixels of the frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.compose.settings import Settings
from pipeline.compose.sides import Side
from pipeline.synth.scene import (
    MOMENT,
    SOURCE_COUNT_SHARES,
    TEST_EVERY,
    candidate_box,
    draw_area,
    draw_hiss,
    draw_smaller,
    draw_source_id,
    overlap,
)
from pipeline.synth.surroundings import draw_place

FRAME_SIZES, FRAME_SIZE_SHARES = ((224, 168), (240, 136), (192, 192)), (0.65, 0.25, 0.10)
TRIES = 16  # places tried for an object beside others
CANDIDATES = 12  # cut-outs tried for a size
MOST_CUT = 1.7  # an object may be so many times as long as the frame: the rest of it lies outside
MOST_STRETCH = 1.25  # of an object's sides against each other
FOREIGN_SHARE = 0.5  # of the off-screen sounds that are of a class never seen, where there are such
PASSAGE_RECORDINGS = 3  # at most so many recordings of a class are put one after the other
_COMPOSED = 109  # last word of seeds, so that streams differ from those of drawn clips

Kind = Literal["ordinary", "off_screen", "silent"]


@dataclass(frozen=True)
class CutOut:
    """An object's image, by the number of its file; sides in pixels."""

    number: int
    width: int
    height: int


@dataclass(frozen=True)
class Shelf:
    """The material of one side. `foreign`: recordings of classes that are never seen; `places`: backgrounds by place,
    () where they are drawn."""

    images: Mapping[str, Sequence[CutOut]]
    sounds: Mapping[str, Sequence[int]]
    foreign: Mapping[str, Sequence[int]]
    places: Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Library:
    """All material: a shelf a side, and the places where a class is at home."""

    shelves: Mapping[Side, Shelf]
    homes: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Motion:
    """How an object moves around the place it has at the moment: pixels and seconds."""

    velocity: tuple[float, float]
    sway: tuple[float, float]
    pace: float
    phase: float
    throb: float

    def shift(self, time: float) -> np.ndarray:
        """(2,): pixels across and down from where it is at the moment."""
        swing = np.sin(self.pace * time + self.phase) - np.sin(self.pace * MOMENT + self.phase)
        return np.array(self.velocity) * (time - MOMENT) + np.array(self.sway) * swing


@dataclass(frozen=True)
class Thing:
    """One object. `image` None: off screen. box: left, top, width, height at the moment; some may lie outside."""

    label: str
    image: int | None
    box: tuple[float, float, float, float]
    mirrored: bool
    gain: float  # of its sound in the mixture; 0 = silent
    recordings: tuple[int, ...]
    brightness: float
    motion: Motion

    @property
    def sounding(self) -> bool:
        return self.gain > 0

    @property
    def on_screen(self) -> bool:
        return self.image is not None


@dataclass(frozen=True)
class Scene:
    """One clip. `things` in painting order, large ones first; `label` is the loudest sound's class; `background` None:
    drawn. `place` tells surroundings apart."""

    key: str
    source_id: str
    split: Side
    label: str
    kind: Kind
    width: int
    height: int
    things: tuple[Thing, ...]
    background: int | None
    place: int
    hiss: float
    level: float
    paint_seed: int
    audio_seed: int


@dataclass(frozen=True)
class _Wish:
    """An object still to be placed: the share of the frame that its box should take, its gain."""

    label: str
    area: float
    gain: float
    on_screen: bool = True


def draw_scene(library: Library, settings: Settings, index: int) -> Scene:
    """Draw clip `index`. Every fifth is a test clip, made of the test side's material alone."""
    rng = np.random.default_rng([settings.seed, index, _COMPOSED])
    side: Side = "test" if index % TEST_EVERY == TEST_EVERY - 1 else "train"
    shelf, source_id = library.shelves[side], draw_source_id(rng)
    start = int(rng.integers(0, 600))
    width, height = FRAME_SIZES[rng.choice(len(FRAME_SIZES), p=FRAME_SIZE_SHARES)]
    kind = _draw_kind(settings, rng)
    wishes = _draw_wishes(shelf, settings, side, kind, rng)
    seen = next((wish.label for wish in wishes if wish.on_screen), wishes[0].label)
    place = draw_place(library.homes.get(seen, ()), sorted(shelf.places), settings.surroundings, rng)
    photographs = shelf.places[place]
    return Scene(
        key=f"{source_id}_{start:06d}",
        source_id=source_id,
        split=side,
        label=wishes[0].label,
        kind=kind,
        width=width,
        height=height,
        things=_placed(wishes, shelf, width, height, rng),
        background=photographs[rng.integers(len(photographs))] if photographs else None,
        place=place,
        hiss=draw_hiss(kind, rng),
        level=float(10 ** rng.uniform(-1.3, -0.75)),
        paint_seed=int(rng.integers(2**32)),
        audio_seed=int(rng.integers(2**32)),
    )


def _draw_kind(settings: Settings, rng: np.random.Generator) -> Kind:
    chance = rng.random()
    if chance < settings.off_screen:
        return "off_screen"
    return "silent" if chance < settings.off_screen + settings.silent else "ordinary"


def _draw_wishes(shelf: Shelf, settings: Settings, side: Side, kind: Kind, rng: np.random.Generator) -> list[_Wish]:
    """The objects that give the clip its label and sound, the loudest first, then silent ones."""
    labels = sorted(shelf.images)
    label, area = labels[rng.integers(len(labels))], draw_area(rng)
    if kind == "silent":
        return [_Wish(label, area, 0.0)]
    if kind == "off_screen":
        unseen = sorted(shelf.foreign) if shelf.foreign and rng.random() < FOREIGN_SHARE else labels
        heard = unseen[rng.integers(len(unseen))]
        return [_Wish(heard, area, 1.0, on_screen=False), _Wish(_others(labels, [heard], 1, rng)[0], area, 0.0)]
    several = rng.random() < settings.several
    if side == "test" and rng.random() < settings.interactive and not several:
        share = rng.uniform(0.4, 0.6)
        return [_Wish(label, share * area, 1.0), _Wish(_others(labels, [label], 1, rng)[0], (1 - share) * area, 0.0)]
    sources = _several(label, area, labels, rng) if several else [_Wish(label, area, 1.0)]
    return sources + _distractors(sources, area, labels, settings.distractors, rng)


def _several(label: str, area: float, labels: Sequence[str], rng: np.random.Generator) -> list[_Wish]:
    """Two or three sources that share an area, as often as VGG-SS has two or more boxes: of one class or of several."""
    beyond_one = np.array(SOURCE_COUNT_SHARES[1:])
    count = 2 + int(rng.choice(len(beyond_one), p=beyond_one / beyond_one.sum()))
    others = [label] * (count - 1) if rng.random() < 0.5 else _others(labels, [label], count - 1, rng)
    shares = rng.dirichlet([6.0] * count) * area
    gains = [1.0, *rng.uniform(0.35, 0.8, count - 1).tolist()]
    return [_Wish(*each) for each in zip([label, *others], shares.tolist(), gains, strict=False)]


def _distractors(
    sources: Sequence[_Wish], area: float, labels: Sequence[str], share: float, rng: np.random.Generator
) -> list[_Wish]:
    """Silent objects of classes that do not sound."""
    sizes = draw_smaller(area, share, rng)
    names = _others(labels, [wish.label for wish in sources], len(sizes), rng)
    return [_Wish(name, size, 0.0) for name, size in zip(names, sizes, strict=False)]


def _others(labels: Sequence[str], excluded: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    candidates = [label for label in labels if label not in excluded]
    return [candidates[place] for place in rng.permutation(len(candidates))[:count]]


def _placed(
    wishes: Sequence[_Wish], shelf: Shelf, width: int, height: int, rng: np.random.Generator
) -> tuple[Thing, ...]:
    things: list[Thing] = []
    taken: list[np.ndarray] = []
    for wish in wishes:
        image, size = _fitting(wish, shelf, width, height, rng) if wish.on_screen else (None, np.ones(2))
        frame = np.array([width, height], float)
        tries = (candidate_box(size, frame, rng) for _ in range(TRIES if taken else 1))
        box = min(tries, key=lambda box: overlap(box, taken))
        if wish.on_screen:
            taken.append(box)
        things.append(_thing(wish, image, box, shelf, frame, rng))
    return tuple(sorted(things, key=lambda thing: -thing.box[2] * thing.box[3]))


def _thing(
    wish: _Wish, image: int | None, box: np.ndarray, shelf: Shelf, frame: np.ndarray, rng: np.random.Generator
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


def _fitting(wish: _Wish, shelf: Shelf, width: int, height: int, rng: np.random.Generator) -> tuple[int, np.ndarray]:
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
