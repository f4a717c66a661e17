"""Maps of each image under its own sound and under controls, and what of them is measured clip by clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal
from zlib import crc32

import numpy as np

from manifests.errors import InputError
from training.evaluation.false_positives import false_positive_rate
from training.evaluation.listening import (
    CONTROLS,
    NEGATIVES,
    active_share,
    map_correlation,
    mask_agreement,
    threshold_from_negatives,
)
from training.evaluation.localization import ciou
from training.evaluation.maps import rescale
from training.evaluation.postprocess import AUDIO_VISUAL, prepare
from training.evaluation.protocol import MapProtocol
from training.evaluation.raw_maps import RawMaps

BATCH = 32
UNDER = ("pia", "overlap", "iou", "correlation")


@dataclass(frozen=True)
class ListeningProtocol(MapProtocol):
    """As `MapProtocol`, and where the threshold comes from: `level`, the `negatives` that are scored (their quantile of
    maxima, pooled), or those of the `other_half` of the clips, so that none helps to choose its own.

    control_align_corners: how maps of controls are enlarged; released code enlarges them otherwise than the own ones.
    """

    task: ClassVar[str] = "listening"
    threshold_from: Literal["level", "negatives", "other_half"] = "level"
    quantile: float = 0.75
    control_align_corners: bool = False

    @property
    def asks(self) -> str:
        return "controls"


@dataclass(frozen=True)
class ControlMaps:
    """Maps of clips under their own sound, and by control (N, h, w); NaN throughout where a clip has no such pair."""

    own: RawMaps
    controls: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        if not self.controls:
            raise InputError(
                "The maps are of clips with their own sounds only, so nothing says what other sounds do. Add arrays "
                f"called {', '.join(f'maps_{name}' for name in CONTROLS)}, one map for each name; any of them will do."
            )
        for name, maps in self.controls.items():
            if np.shape(maps) != np.shape(self.own.maps):
                raise InputError(
                    f"maps_{name} has the shape {np.shape(maps)}, the maps under the own sounds "
                    f"{np.shape(self.own.maps)}. Give one map for each name, of one size; NaN where there is none."
                )


def taken(maps: np.ndarray, keys: Sequence[str], control: str) -> np.ndarray:
    """The maps of a control. InputError names one that is NaN or infinite in part."""
    finite = np.isfinite(maps).reshape(len(maps), -1)
    bad = ~finite.all(axis=1) & (finite.any(axis=1) | np.isinf(maps).any(axis=(1, 2)))
    if bad.any():
        raise InputError(
            f"The map of {keys[int(bad.argmax())]} under {control} holds NaN or infinity in part. A clip without such "
            "a pair has NaN throughout; find out why the model produced this one and export the maps again."
        )
    return maps


Values = dict[str, np.ndarray]  # per clip (N,), NaN where a control has no pair


@dataclass(frozen=True)
class Sounds:
    """Raw maps (N, h, w) under the own sound and under each control, in the order of `keys`."""

    own: np.ndarray
    controls: Mapping[str, np.ndarray]
    keys: Sequence[str]

    def has(self, control: str) -> np.ndarray:
        """bool (N,): which clips have a pair."""
        return np.asarray(~np.isnan(self.controls[control]).any(axis=(1, 2)))

    def counts(self, control: str) -> dict[str, Any]:
        """How many clips have a pair, and which have none."""
        has = self.has(control) if control in self.controls else np.zeros(len(self.keys), bool)
        return {"n": int(has.sum()), "without": [key for key, there in zip(self.keys, has, strict=True) if not there]}

    def levels(self, protocol: ListeningProtocol) -> np.ndarray:
        """float32 (N,): the threshold of each clip."""
        if protocol.threshold_from == "level":
            return np.full(len(self.keys), protocol.level, np.float32)
        maxima = self._maxima(protocol)
        everyone = np.zeros(len(self.keys), int)
        half = np.array([crc32(key.encode()) % 2 for key in self.keys])
        folds = half if protocol.threshold_from == "other_half" and len(set(half.tolist())) == 2 else everyone
        levels = np.empty(len(self.keys), np.float32)
        for fold in np.unique(folds):
            chosen = folds != fold if folds is half else folds == fold
            pooled = [each[chosen & ~np.isnan(each)] for each in maxima]
            if not sum(map(len, pooled)):
                raise InputError(_NO_NEGATIVES)
            levels[folds == fold] = threshold_from_negatives(pooled, protocol.quantile)
        return levels

    def _maxima(self, protocol: ListeningProtocol) -> list[np.ndarray]:
        scale = protocol.map_range if protocol.scaling == "fixed" else (0.0, 1.0)
        found = [rescale(self.controls[name], *scale).max(axis=(1, 2)) for name in NEGATIVES if name in self.controls]
        if not found:
            raise InputError(_NO_NEGATIVES)
        return found

    def measure(self, protocol: ListeningProtocol, levels: np.ndarray, weights: Sequence[np.ndarray]) -> Values:
        """Everything that is measured of a clip, by name."""
        parts: list[Values] = []
        for number, truth in enumerate(weights):
            chosen = slice(number * BATCH, number * BATCH + len(truth))
            parts.append(self._measure(protocol, levels, truth, chosen))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _measure(self, protocol: ListeningProtocol, levels: np.ndarray, truth: np.ndarray, chosen: slice) -> Values:
        level = levels[chosen]
        masks = _masks(self.own[chosen], protocol, level)
        found = own_values(masks, truth)
        for name, maps in self.controls.items():
            has = self.has(name)[chosen]
            corners = replace(protocol, align_corners=protocol.control_align_corners)
            if not has.any():
                found |= {f"{key}_{name}": np.full(len(has), np.nan) for key in UNDER}
                continue
            under = _masks(maps[chosen][has], corners, level[has])
            values = under_control(masks[has], under, truth[has]) | {
                "correlation": map_correlation(self.own[chosen][has], maps[chosen][has])
            }
            found |= {f"{key}_{name}": _spread(each, has) for key, each in values.items()}
        return found


_NO_NEGATIVES = (
    "There is no clip with a negative sound (silence, noise, off-screen) to take the threshold from. Add maps_silence "
    "or another of them, or score under a protocol with a released threshold, such as vssl_ezvsl."
)


def _masks(raw: np.ndarray, protocol: MapProtocol, levels: np.ndarray) -> np.ndarray:
    """bool (N, 224, 224): enlarged, scaled, above each clip's threshold."""
    high = prepare(raw, protocol)[AUDIO_VISUAL].maps
    return high > levels[:, None, None]


def own_values(masks: np.ndarray, truth: np.ndarray) -> Values:
    return {
        "iou": ciou(masks, truth),
        "active": active_share(masks),
        "outside_truth": false_positive_rate(masks, truth > 0),
    }


def under_control(masks: np.ndarray, other: np.ndarray, truth: np.ndarray) -> Values:
    return {"pia": active_share(other), "overlap": mask_agreement(masks, other), "iou": ciou(other, truth)}


def _spread(values: np.ndarray, has: np.ndarray) -> np.ndarray:
    found = np.full(len(has), np.nan)
    found[has] = values
    return found
