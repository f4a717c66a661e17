"""What a composed clip is made of: the material to choose from, and the scene that was chosen. Lengths in pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.compose.sides import Side
from pipeline.synth.scene import MOMENT

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
