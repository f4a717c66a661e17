"""What is in a composed clip: which objects, how large, before which background, which of them sound.

A scene is drawn from the seed, the clip's index and the material alone, without reading any of it. Sizes follow
VGG-SS as those of the drawn corpus do; so does the place of the first object, unless objects are to be spread.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.compose.pieces import CutOut, Kind, Library, Scene, Shelf
from pipeline.compose.placing import Wish, placed
from pipeline.compose.settings import Settings
from pipeline.compose.sides import Side
from pipeline.synth.scene import (
    SOURCE_COUNT_SHARES,
    TEST_EVERY,
    draw_area,
    draw_hiss,
    draw_smaller,
    draw_source_id,
)
from pipeline.synth.surroundings import draw_place

FRAME_SIZES, FRAME_SIZE_SHARES = ((224, 168), (240, 136), (192, 192)), (0.65, 0.25, 0.10)
IMAGE_SIDE = 128
FOREIGN_SHARE = 0.5  # of the off-screen sounds that are of a class never seen, where there are such
_COMPOSED, _IMAGE = 109, 131  # last words of seeds, so that streams differ from those of drawn clips


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
        things=placed(wishes, shelf, width, height, settings.spread, rng),
        background=photographs[int(rng.integers(len(photographs)))] if photographs else None,
        place=place,
        hiss=draw_hiss(kind, rng),
        level=float(10 ** rng.uniform(-1.3, -0.75)),
        paint_seed=int(rng.integers(2**32)),
        audio_seed=int(rng.integers(2**32)),
    )


def draw_image(library: Library, settings: Settings, label: str, cut_out: CutOut) -> Scene:
    """A scene of one training object that is not tiny and nothing else: an image to pretrain on."""
    rng = np.random.default_rng([settings.seed, cut_out.number, _IMAGE])
    whole = library.shelves["train"]
    shelf = replace(whole, images={label: [cut_out]})
    place = draw_place(library.homes[label], sorted(shelf.places), settings.surroundings, rng)
    photographs, name = shelf.places[place], f"{label}-{cut_out.number}"
    wish = Wish(label, draw_area(rng, smallest=0.25), 0.0)
    return Scene(
        key=name,
        source_id=name,
        split="train",
        label=label,
        kind="silent",
        width=IMAGE_SIDE,
        height=IMAGE_SIDE,
        things=placed([wish], shelf, IMAGE_SIDE, IMAGE_SIDE, settings.spread, rng),
        background=photographs[int(rng.integers(len(photographs)))] if photographs else None,
        place=place,
        hiss=0.0,
        level=1.0,
        paint_seed=int(rng.integers(2**32)),
        audio_seed=0,
    )


def _draw_kind(settings: Settings, rng: np.random.Generator) -> Kind:
    chance = rng.random()
    if chance < settings.off_screen:
        return "off_screen"
    return "silent" if chance < settings.off_screen + settings.silent else "ordinary"


def _draw_wishes(shelf: Shelf, settings: Settings, side: Side, kind: Kind, rng: np.random.Generator) -> list[Wish]:
    """The objects that give the clip its label and sound, the loudest first, then silent ones."""
    labels = sorted(shelf.images)
    label, area = labels[rng.integers(len(labels))], draw_area(rng)
    if kind == "silent":
        return [Wish(label, area, 0.0)]
    if kind == "off_screen":
        unseen = sorted(shelf.foreign) if shelf.foreign and rng.random() < FOREIGN_SHARE else labels
        heard = unseen[rng.integers(len(unseen))]
        return [Wish(heard, area, 1.0, on_screen=False), Wish(_others(labels, [heard], 1, rng)[0], area, 0.0)]
    several = rng.random() < settings.several
    if side == "test" and rng.random() < settings.interactive and not several:
        share = rng.uniform(0.4, 0.6)
        return [Wish(label, share * area, 1.0), Wish(_others(labels, [label], 1, rng)[0], (1 - share) * area, 0.0)]
    sources = _several(label, area, labels, rng) if several else [Wish(label, area, 1.0)]
    return sources + _distractors(sources, area, labels, settings.distractors, rng)


def _several(label: str, area: float, labels: Sequence[str], rng: np.random.Generator) -> list[Wish]:
    """Two or three sources that share an area, as often as VGG-SS has two or more boxes: of one class or of several."""
    beyond_one = np.array(SOURCE_COUNT_SHARES[1:])
    count = 2 + int(rng.choice(len(beyond_one), p=beyond_one / beyond_one.sum()))
    others = [label] * (count - 1) if rng.random() < 0.5 else _others(labels, [label], count - 1, rng)
    shares = rng.dirichlet([6.0] * count) * area
    gains = [1.0, *rng.uniform(0.35, 0.8, count - 1).tolist()]
    return [Wish(*each) for each in zip([label, *others], shares.tolist(), gains, strict=False)]


def _distractors(
    sources: Sequence[Wish], area: float, labels: Sequence[str], share: float, rng: np.random.Generator
) -> list[Wish]:
    """Silent objects of classes that do not sound."""
    sizes = draw_smaller(area, share, rng)
    names = _others(labels, [wish.label for wish in sources], len(sizes), rng)
    return [Wish(name, size, 0.0) for name, size in zip(names, sizes, strict=False)]


def _others(labels: Sequence[str], excluded: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    candidates = [label for label in labels if label not in excluded]
    return [candidates[place] for place in rng.permutation(len(candidates))[:count]]
