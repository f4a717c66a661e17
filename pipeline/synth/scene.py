"""What is in a clip: which objects, where, how they move, which of them sound, and what the clip is called.

A scene is drawn from the seed and the clip's index alone, without painting anything; `render` and `audio` turn it
into frames and a waveform. Sizes follow VGG-SS (quantiles of the union of the boxes measured on its annotations),
places are spread as far as the sizes allow, so that guessing the middle of the frame pays less than on VGG-SS.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.synth.audio import Performance, perform
from pipeline.synth.classes import LABELS, PALETTES, SOUND_CLASSES
from pipeline.synth.looks import Look, draw_look
from pipeline.synth.settings import Settings
from pipeline.synth.surroundings import draw_place, homes, places_wanted

FPS = 8
FRAMES = 33  # 4.125 s: half of it lies between two frames, so players that round durations agree on the middle frame
SECONDS = FRAMES / FPS
MOMENT_FRAME = 16  # the last frame shown at or before min(5.0, duration / 2) = 2.0625 s
MOMENT = MOMENT_FRAME / FPS

FRAME_SIZES = ((160, 120), (176, 100), (128, 128))
FRAME_SIZE_SHARES = (0.65, 0.25, 0.10)
AREA_QUANTILES = (0.0, 0.05, 0.25, 0.50, 0.75, 0.95, 1.0)  # of the union of the sounding boxes in VGG-SS ...
AREA_VALUES = (0.012, 0.033, 0.121, 0.253, 0.470, 0.830, 1.0)  # ... as a share of the frame
SOURCE_COUNT_SHARES = (0.89, 0.08, 0.03)  # one, two, three sounding objects: as VGG-SS has boxes
DISTRACTOR_COUNT_SHARES = (0.40, 0.42, 0.18)  # none, one, two silent objects of other classes
SMALLER_SIZES, SECOND_SMALLER_SHARE = (0.12, 0.5), 0.2  # of what sounds; of the clips with a smaller silent object
SMALLEST_AREA = 0.012
OFF_SCREEN_SHARE, SILENT_SHARE = 0.05, 0.03
TEST_EVERY, SECOND_CUT_EVERY = 5, 10
ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_SETTING, _IMAGE, _PLACE = 101, 103, 127  # last words of seeds, so that streams differ from those of clips

PLACES = tuple(range(places_wanted(len(LABELS))))
HOMES = homes(sorted(LABELS, key=lambda label: LABELS.index(label) % len(PALETTES)), PLACES)  # by colours in common

Kind = Literal["ordinary", "off_screen", "silent"]


@dataclass(frozen=True)
class Thing:
    """One object of a scene. Lengths in pixels of the frame, times in seconds."""

    look: Look
    performance: Performance
    gain: float  # of its sound in the mixture; 0 = silent
    on_screen: bool
    scale: float  # pixels per unit of the outline
    origin: tuple[float, float]  # where the outline's origin is at the moment
    velocity: tuple[float, float]
    sway: tuple[float, float]  # amplitude of a swing across and down
    pace: float  # of the swing, radians per second
    phase: float
    turn: float  # amplitude of the swing in angle, radians
    throb: float  # how much it grows when it sounds

    @property
    def label(self) -> str:
        return LABELS[self.look.number]

    @property
    def sounding(self) -> bool:
        return self.gain > 0


@dataclass(frozen=True)
class Scene:
    """One clip. `things` are in the order they are painted, large ones first; `label` is the loudest sound's class."""

    key: str
    source_id: str
    start: int
    split: Literal["train", "test"]
    label: str
    kind: Kind
    width: int
    height: int
    things: tuple[Thing, ...]
    hiss: float  # root mean square of the background noise, times `level`
    level: float  # root mean square of a sound of gain 1
    background_seed: int
    audio_seed: int
    place: int | None = None  # which surroundings; None: its own


def draw_scene(seed: int, index: int, settings: Settings = Settings()) -> Scene:
    """Draw clip `index` of the corpus of `seed`. Every tenth clip is a second cut of the video of the one before."""
    source = index - 1 if index % SECOND_CUT_EVERY == 1 else index
    setting = np.random.default_rng([seed, source, _SETTING])
    source_id = draw_source_id(setting)
    start = int(setting.integers(0, 600)) + 17 * (index - source)
    number = int(setting.integers(len(SOUND_CLASSES)))
    width, height = FRAME_SIZES[setting.choice(len(FRAME_SIZES), p=FRAME_SIZE_SHARES)]
    rng = np.random.default_rng([seed, index])
    kind = _draw_kind(rng)
    things = _draw_things(number, kind, width, height, settings.distractors, rng)
    return Scene(
        key=f"{source_id}_{start:06d}",
        source_id=source_id,
        start=start,
        split="test" if index % TEST_EVERY == TEST_EVERY - 1 else "train",
        label=LABELS[number],
        kind=kind,
        width=width,
        height=height,
        things=things,
        hiss=draw_hiss(kind, rng),
        level=float(10 ** rng.uniform(-1.3, -0.75)),
        background_seed=int(setting.integers(2**32)),
        audio_seed=int(rng.integers(2**32)),
        place=_draw_place(LABELS[number], seed, source, settings.surroundings),
    )


def _draw_place(label: str, seed: int, source: int, share: float) -> int | None:
    """Of the video, from a stream of its own: what else is drawn stays as it is without surroundings."""
    if not share:
        return None
    return draw_place(HOMES[label], PLACES, share, np.random.default_rng([seed, source, _PLACE]))


def draw_source_id(rng: np.random.Generator) -> str:
    """A name like a YouTube video's."""
    return "".join(ID_ALPHABET[letter] for letter in rng.integers(len(ID_ALPHABET), size=11))


def draw_image(seed: int, number: int, copy: int, width: int, height: int) -> Scene:
    """A scene with one object of class `number`, not a tiny one, and nothing else: an image to pretrain on."""
    rng = np.random.default_rng([seed, number, copy, _IMAGE])
    thing = _place(_Wish(number, draw_area(rng, smallest=0.25), 1.0), [], width, height, rng)[0]
    name = f"{LABELS[number]}-{copy}"
    noise = int(rng.integers(2**32))
    return Scene(name, name, 0, "train", LABELS[number], "ordinary", width, height, (thing,), 0, 1, noise, noise)


@dataclass(frozen=True)
class _Wish:
    """An object still to be placed: its class, the share of the frame its box should take, its gain."""

    number: int
    area: float
    gain: float
    on_screen: bool = True


def _draw_kind(rng: np.random.Generator) -> Kind:
    chance = rng.random()
    if chance < OFF_SCREEN_SHARE:
        return "off_screen"
    return "silent" if chance < OFF_SCREEN_SHARE + SILENT_SHARE else "ordinary"


def draw_hiss(kind: Kind, rng: np.random.Generator) -> float:
    """Noise 10 to 28 dB under the sound; half of the silent clips are digital silence."""
    if kind == "silent" and rng.random() < 0.5:
        return 0.0
    return float(10 ** rng.uniform(-1.4, -0.5))


def draw_area(rng: np.random.Generator, smallest: float = 0.0) -> float:
    """A share of the frame, from VGG-SS's distribution above its quantile `smallest`."""
    return float(np.interp(rng.uniform(smallest, 1), AREA_QUANTILES, AREA_VALUES))


def _draw_things(
    number: int, kind: Kind, width: int, height: int, silent: float | None, rng: np.random.Generator
) -> tuple[Thing, ...]:
    wishes = _sources(number, kind, rng)
    shown = sum(wish.area for wish in wishes if wish.on_screen)
    wishes += _distractors(wishes, 1 - shown, rng) if silent is None else _smaller(wishes, shown, silent, rng)
    things: list[Thing] = []
    taken: list[np.ndarray] = []
    for wish in wishes:
        thing, box = _place(wish, taken, width, height, rng)
        things.append(thing)
        if wish.on_screen:
            taken.append(box)
    return tuple(sorted(things, key=lambda thing: -thing.scale))


def _sources(number: int, kind: Kind, rng: np.random.Generator) -> list[_Wish]:
    """The objects that give the clip its label and its sound; the first is the loudest."""
    if kind != "ordinary":
        return [_Wish(number, draw_area(rng), float(kind == "off_screen"), on_screen=kind == "silent")]
    count = 1 + int(rng.choice(len(SOURCE_COUNT_SHARES), p=SOURCE_COUNT_SHARES))
    shares = rng.dirichlet([6.0] * count) * draw_area(rng)
    same_class = rng.random() < 0.5  # several dogs, or a dog and a bell
    others = [number] * (count - 1) if same_class else _other_classes([number], count - 1, rng)
    gains = [1.0, *rng.uniform(0.35, 0.8, count - 1).tolist()]
    return [_Wish(*wish) for wish in zip([number, *others], shares.tolist(), gains, strict=True)]


def _distractors(sources: list[_Wish], free: float, rng: np.random.Generator) -> list[_Wish]:
    """Silent objects of classes that do not sound, fitted into the share of the frame that is still `free`."""
    count = int(rng.choice(len(DISTRACTOR_COUNT_SHARES), p=DISTRACTOR_COUNT_SHARES))
    numbers = _other_classes([wish.number for wish in sources], count, rng)
    return [_Wish(number, min(draw_area(rng), max(0.03, 0.55 * free)), 0.0) for number in numbers]


def _smaller(sources: list[_Wish], shown: float, share: float, rng: np.random.Generator) -> list[_Wish]:
    """In that share of the clips silent objects of classes that do not sound, smaller than what is shown of those."""
    sizes = draw_smaller(shown or draw_area(rng), share, rng)
    numbers = _other_classes([wish.number for wish in sources], len(sizes), rng)
    return [_Wish(number, size, 0.0) for number, size in zip(numbers, sizes, strict=True)]


def draw_smaller(area: float, share: float, rng: np.random.Generator) -> list[float]:
    """The areas of one or two objects beside one of `area`, in that share of the clips; shares of the frame."""
    count = 1 + int(rng.random() < SECOND_SMALLER_SHARE) if rng.random() < share else 0
    room = max(2 * SMALLEST_AREA, (1 - area) / 2)
    return np.clip(rng.uniform(*SMALLER_SIZES, size=count) * area, SMALLEST_AREA, room).tolist()


def _other_classes(excluded: list[int], count: int, rng: np.random.Generator) -> list[int]:
    candidates = [number for number in range(len(SOUND_CLASSES)) if number not in excluded]
    return [candidates[place] for place in rng.permutation(len(candidates))[:count]]


def _place(
    wish: _Wish, taken: list[np.ndarray], width: int, height: int, rng: np.random.Generator
) -> tuple[Thing, np.ndarray]:
    """Size and place an object where it overlaps least with the boxes already `taken` (x1, y1, x2, y2 in pixels)."""
    frame = np.array([width, height], float)
    look = _fitting_look(wish, frame, rng)
    low, high = look.extent()
    scale = float(np.sqrt(wish.area * width * height / np.prod(high - low)))
    size = scale * (high - low)
    box = min((candidate_box(size, frame, rng) for _ in range(16 if taken else 1)), key=lambda box: overlap(box, taken))
    origin = (box[:2] + box[2:]) / 2 - scale * (low + high) / 2
    thing = Thing(
        look=look,
        performance=perform(SOUND_CLASSES[wish.number].voice, SECONDS, rng),
        gain=wish.gain,
        on_screen=wish.on_screen,
        scale=scale,
        origin=tuple(origin.tolist()),
        velocity=tuple((rng.uniform(-0.07, 0.07, 2) * frame).tolist()),
        sway=tuple((rng.uniform(0, 0.03, 2) * frame).tolist()),
        pace=float(rng.uniform(1.5, 5)),
        phase=float(rng.uniform(0, 2 * np.pi)),
        turn=float(rng.uniform(0, 0.15)),
        throb=float(rng.uniform(0.02, 0.1)),
    )
    return thing, box


def _fitting_look(wish: _Wish, frame: np.ndarray, rng: np.random.Generator) -> Look:
    """A look whose box of the wished area is no wider or higher than the frame, if the outline can be stretched so."""
    look = draw_look(wish.number, rng)
    low, high = look.extent()
    shape = np.log2((high - low)[0] / (high - low)[1] * frame[1] / frame[0])  # in shares of the frame
    limit = max(0.0, np.log2(1.0 / wish.area)) + 0.05
    excess = shape - np.clip(shape, -limit, limit)
    stretch = look.stretch * float(np.exp2(np.clip(-1.15 * excess, -1.2, 1.2)))
    return replace(look, stretch=stretch)


def candidate_box(size: np.ndarray, frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box of `size` somewhere in the frame, a tenth of it outside at most; larger than the frame: near the middle."""
    return box_at(rng.uniform(-0.5, 0.5, 2) * slack_of(size, frame), size, frame)


def slack_of(size: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """(2,): how long the stretch is on which the middle of a box of `size` may lie, about the middle of the frame."""
    return np.maximum(frame - 0.8 * size, 0.06 * frame)


def box_at(away: np.ndarray, size: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """(4,) corners of a box of `size`, whose middle lies `away` from the middle of the frame."""
    corner = (frame - size) / 2 + away
    return np.concatenate([corner, corner + size])


def overlap(box: np.ndarray, others: list[np.ndarray]) -> float:
    """Summed share of each other box, or of this one, that both cover, whichever is larger."""
    total = 0.0
    for other in others:
        sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
        common = np.prod(np.maximum(sides, 0))
        total += common / min(np.prod(box[2:] - box[:2]), np.prod(other[2:] - other[:2]))
    return float(total)


def position(thing: Thing, time: float) -> tuple[np.ndarray, float, float]:
    """Where an object's origin is at `time` (pixels, (2,)), its angle and its size relative to the resting one."""
    swing = np.sin(thing.pace * time + thing.phase) - np.sin(thing.pace * MOMENT + thing.phase)
    origin = np.array(thing.origin) + np.array(thing.velocity) * (time - MOMENT) + np.array(thing.sway) * swing
    lively = float(thing.performance.activity(np.array(time)) - thing.performance.activity(np.array(MOMENT)))
    return origin, thing.look.angle + thing.turn * float(swing), 1 + thing.throb * lively
