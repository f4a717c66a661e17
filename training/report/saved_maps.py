"""The maps that `training evaluate` leaves beside its scores, with what is drawn over them."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from manifests.annotations import WHOLE, Box
from manifests.files.arrays import read_npz
from manifests.files.given import understood
from training.evaluation.boxes import boxes_by_name


class FoundBox(NamedTuple):
    """A predicted box, as fractions of what was shown, and its score."""

    box: Box
    score: float


@dataclass(frozen=True)
class Maps:
    """The raw maps of one test set: `names` (N,) and `maps` (N, h, w) float32, larger = more sounding.

    `shown` says by name which part of the frame the map covers, where that is not the whole. `predicted` are the boxes
    of a method that gives some, best first.
    """

    names: tuple[str, ...]
    maps: np.ndarray
    boxes: dict[str, tuple[Box, ...]] = field(default_factory=dict)
    shown: dict[str, Box] = field(default_factory=dict)
    predicted: dict[str, tuple[FoundBox, ...]] = field(default_factory=dict)

    @cached_property
    def row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    def of(self, key: str) -> np.ndarray | None:
        """The map (h, w) of one sample, None when this run has none for it."""
        row = self.row_of.get(key)
        return None if row is None else self.maps[row]

    def part(self, key: str) -> Box:
        """The part of the sample's frame that its map covers."""
        return self.shown.get(key, WHOLE)


def read_maps(path: Path) -> Maps:
    """Read `maps.npz`. InputError when it is no such file."""
    with understood(path, "is not a file of maps (arrays `names` and `maps`)"):
        arrays = read_npz(path)
        names = tuple(arrays["names"].tolist())
        shown = dict(zip(names, map(tuple, arrays["shown"].tolist()), strict=True)) if "shown" in arrays else {}
        if arrays["maps"].shape[:1] != (len(names),):
            raise ValueError(f"{len(names)} names and maps of shape {arrays['maps'].shape}")
        return Maps(names, arrays["maps"], _boxes(arrays), shown, _predicted(arrays))


def _predicted(arrays: dict[str, np.ndarray]) -> dict[str, tuple[FoundBox, ...]]:
    """Predicted boxes by key, where the file has any."""
    if "predicted_boxes" not in arrays:
        return {}
    names = [str(name) for name in arrays["names"]]
    found = zip(names, boxes_by_name(arrays), strict=True)
    return {name: tuple(FoundBox((a, b, c, d), score) for a, b, c, d, score in own.tolist()) for name, own in found}


def _boxes(arrays: dict[str, np.ndarray]) -> dict[str, tuple[Box, ...]]:
    """Ground-truth boxes by key, from `boxes` (M, 4) fractions x1, y1, x2, y2 and `box_owner` (M,) rows of `names`."""
    boxes: dict[str, list[Box]] = {}
    if "boxes" in arrays:
        for owner, box in zip(arrays["box_owner"].tolist(), arrays["boxes"].tolist(), strict=True):
            boxes.setdefault(str(arrays["names"][owner]), []).append(tuple(box))
    return {key: tuple(found) for key, found in boxes.items()}
