"""The maps that `training evaluate` leaves beside its scores, with what is drawn over them."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from manifests.annotations import WHOLE, Box
from manifests.errors import InputError


@dataclass(frozen=True)
class Maps:
    """The raw maps of one test set: `names` (N,) and `maps` (N, h, w) float32, larger = more sounding.

    `shown` says by name which part of the frame the map covers, where that is not the whole.
    """

    names: tuple[str, ...]
    maps: np.ndarray
    boxes: dict[str, tuple[Box, ...]] = field(default_factory=dict)
    shown: dict[str, Box] = field(default_factory=dict)

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
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        names = tuple(arrays["names"].tolist())
        shown = dict(zip(names, map(tuple, arrays["shown"].tolist()), strict=True)) if "shown" in arrays else {}
        return Maps(names, arrays["maps"], _boxes(arrays), shown)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is not a file of maps (arrays `names` and `maps`): {error}.") from error


def _boxes(arrays: dict[str, np.ndarray]) -> dict[str, tuple[Box, ...]]:
    """Ground-truth boxes by key, from `boxes` (M, 4) fractions x1, y1, x2, y2 and `box_owner` (M,) rows of `names`."""
    boxes: dict[str, list[Box]] = {}
    if "boxes" in arrays:
        for owner, box in zip(arrays["box_owner"].tolist(), arrays["boxes"].tolist(), strict=True):
            boxes.setdefault(str(arrays["names"][owner]), []).append(tuple(box))
    return {key: tuple(found) for key, found in boxes.items()}
