"""Maps of each image under its own sound and under controls: as files and runs give them, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manifests.errors import InputError
from manifests.sound_draws import CONTROLS
from training.evaluation.control_protocols import ControlledProtocol
from training.evaluation.given_arrays import in_float32
from training.evaluation.postprocess import AUDIO_VISUAL, COMBINED
from training.evaluation.protocol import MapProtocol
from training.evaluation.raw_maps import RawMaps, read_single_maps

THRESHOLDS, CUT_MAPS = "thresholds", (AUDIO_VISUAL, COMBINED)  # the array of a file, and whose they are in order


@dataclass(frozen=True)
class ControlMaps:
    """Maps of clips under their own sound, and by control (N, h, w); NaN throughout where a clip has no such pair.

    `thresholds`: where a validation set says to cut, by map (audio_visual, combined).
    Of a control that was drawn several times (R, N, h, w); one that was not is the same in every draw.
    """

    own: RawMaps
    controls: Mapping[str, np.ndarray]
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.controls:
            raise InputError(
                "The maps are of clips with their own sounds only, so nothing says what other sounds do. Add arrays "
                f"called {', '.join(f'maps_{name}' for name in CONTROLS)}, one map for each name; any of them will do."
            )
        for name, maps in self.controls.items():
            if np.asarray(maps).dtype.kind not in "fiub":
                raise InputError(f"maps_{name} are of type {np.asarray(maps).dtype}. Give numbers.")
            if np.shape(maps)[-3:] != np.shape(self.own.maps) or np.ndim(maps) > 4:
                raise InputError(
                    f"maps_{name} has the shape {np.shape(maps)}, the maps under the own sounds "
                    f"{np.shape(self.own.maps)}. Give one map for each name, of one size; NaN where there is none."
                )
        counts = {name: len(maps) for name, maps in self.controls.items() if np.ndim(maps) == 4}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"maps_{name} of {count}" for name, count in counts.items())
            raise InputError(
                f"The maps are of unlike numbers of draws: {told}. Give as many of each that is drawn again."
            )

    @property
    def draws(self) -> int:
        """How many draws the controls are of."""
        return max(len(maps) if np.ndim(maps) == 4 else 1 for maps in self.controls.values())

    def require_draws(self, protocol: ControlledProtocol) -> None:
        """InputError for maps of more or fewer draws than the protocol has seeds."""
        if self.draws != (asked := len(protocol.sound_seeds)):
            raise InputError(
                f"The maps under controls are of {self.draws} draws, and {protocol.name} scores {asked}. Score them "
                "under a protocol of as many seeds, such as vssl+seeds0..9 of ten."
            )

    def drawn(self, control: str, rows: Sequence[int]) -> np.ndarray:
        """(R * N, h, w): the maps of these rows under a control, draw after draw."""
        maps = np.asarray(self.controls[control])[..., list(rows), :, :]
        return np.broadcast_to(maps, (self.draws, *maps.shape[-3:])).reshape(-1, *maps.shape[-2:])


def read_controls(arrays: dict[str, np.ndarray], alpha: float, protocol: MapProtocol) -> ControlMaps:
    """The arrays of a `maps.npz`. InputError when no control is among them."""
    controls = {name: arrays[f"maps_{name}"] for name in CONTROLS if f"maps_{name}" in arrays}
    given = np.ravel(np.asarray(arrays.get(THRESHOLDS, ())))
    if given.dtype.kind not in "fiu" or len(given) > len(CUT_MAPS) or not np.isfinite(given).all():
        raise InputError(f"{THRESHOLDS} is {given.tolist()[:4]}. Give one number, or that of the mixed maps as well.")
    cuts = dict(zip(CUT_MAPS, given.tolist(), strict=False))
    return ControlMaps(read_single_maps(arrays, alpha, protocol), controls, cuts)


def counted_control(keys: Sequence[str], has: np.ndarray | None) -> dict[str, Any]:
    """How many clips have a pair, and which have none; None: no clip has. A clip of several draws counts once."""
    there = np.zeros(len(keys), bool) if has is None else has
    found = dict(zip(keys, there.tolist(), strict=True))
    return {"n": sum(found.values()), "without": [key for key, own in found.items() if not own]}


def taken(maps: np.ndarray, keys: Sequence[str], control: str) -> np.ndarray:
    """float32 maps of a control. InputError names one that is NaN or infinite in part."""
    maps = in_float32(maps, f"maps_{control}")
    finite = np.isfinite(maps).reshape(len(maps), -1)
    bad = ~finite.all(axis=1) & (finite.any(axis=1) | np.isinf(maps).any(axis=(1, 2)))
    if bad.any():
        raise InputError(
            f"The map of {keys[int(bad.argmax())]} under {control} holds NaN or infinity in part. A clip without such "
            "a pair has NaN throughout; find out why the model produced this one and export the maps again."
        )
    return maps
