"""What is measured clip by clip of maps under own sounds and under controls: thresholds, masks, their overlaps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from manifests.errors import InputError
from manifests.sound_draws import NEGATIVES
from training.evaluation.control_maps import counted_control
from training.evaluation.control_protocols import ListeningProtocol
from training.evaluation.false_positives import false_positive_rate
from training.evaluation.listening import (
    NEGATIVE_PAIRS,
    active_share,
    map_correlation,
    mask_agreement,
    threshold_from_negatives,
)
from training.evaluation.localization import ciou
from training.evaluation.maps import mix, rescale, resized, upsample
from training.evaluation.printed import ADAPTIVE_OVERLAP, UNDER_CUTS, at_truth, mixed_list, own_cuts, under_own_cuts

UNDER = ("pia", "overlap", "iou", "correlation")
Values = dict[str, np.ndarray]  # per clip (N,), NaN where a control has no pair


@dataclass(frozen=True)
class Guide:
    """Object-prior maps (N, h', w'), raw, and the weight of the audio-visual map beside them, under every sound."""

    maps: np.ndarray
    alpha: float

    def mixed(self, maps: np.ndarray, guide: np.ndarray) -> np.ndarray:
        return mix(maps, guide, self.alpha)


@dataclass(frozen=True)
class Sounds:
    """Raw maps (N, h, w) under the own sound and under each control, in the order of `keys`; of several draws one after
    another, each with all clips.

    With a guide what is measured is the mixture of both, as the released code mixes: the prior as it comes, unscaled.
    """

    own: np.ndarray
    controls: Mapping[str, np.ndarray]
    keys: Sequence[str]
    guide: Guide | None = None
    validated: float | None = None

    def has(self, control: str) -> np.ndarray:
        """bool (N,): which clips have a pair."""
        return np.asarray(~np.isnan(self.controls[control]).any(axis=(1, 2)))

    def counts(self, control: str) -> dict[str, Any]:
        """How many clips have a pair, and which have none."""
        return counted_control(self.keys, self.has(control) if control in self.controls else None)

    def levels(self, protocol: ListeningProtocol) -> np.ndarray:
        """float32 (N,): the threshold of each clip."""
        if protocol.threshold_from == "level":
            return np.full(len(self.keys), protocol.level, np.float32)
        if protocol.threshold_from == "validation":
            if self.validated is None:
                raise InputError(_NO_VALIDATION.format(protocol.name))
            return np.full(len(self.keys), self.validated, np.float32)
        maxima, half = self._maxima(protocol), self._half
        if self.threshold_from(protocol) != "other_half":
            return np.full(len(half), self.of_all(protocol), np.float32)
        levels = [_threshold(maxima, half != own, protocol) for own in (0, 1)]
        return np.array(levels, np.float32)[half]

    def of_all(self, protocol: ListeningProtocol) -> float:
        """The threshold that all clips together give: what a test on other clips can use."""
        return _threshold(self._maxima(protocol), np.ones(len(self.keys), bool), protocol)

    def threshold_from(self, protocol: ListeningProtocol) -> str:
        """Where the threshold comes from: from all clips alike where one half of them has no negative sound."""
        if protocol.threshold_from != "other_half":
            return protocol.threshold_from
        there = np.any([self.has(name) for name in NEGATIVES if name in self.controls] or [self._half < 0], axis=0)
        return "other_half" if len(set(self._half[there].tolist())) == 2 else "negatives"

    @property
    def _half(self) -> np.ndarray:
        """int (N,), 0 or 1: the half of all clips that each is in, by its name alone."""
        return np.array([crc32(key.encode()) % 2 for key in self.keys])

    def _maxima(self, protocol: ListeningProtocol) -> list[np.ndarray]:
        """Of maps before they are enlarged."""
        everyone = slice(None)
        found = [self._low(self.controls[name], protocol, everyone) for name in NEGATIVES if name in self.controls]
        if not found:
            raise InputError(_NO_NEGATIVES)
        return [each.max(axis=(1, 2)) for each in found]

    def _low(self, maps: np.ndarray, protocol: ListeningProtocol, chosen: slice) -> np.ndarray:
        """Maps before they are enlarged, with the guide brought to their size."""
        scaled = _scaled(maps, protocol)
        if self.guide is None:
            return scaled
        return self.guide.mixed(scaled, resized(self.guide.maps[chosen], maps.shape[1:]))

    def measure(self, protocol: ListeningProtocol, levels: np.ndarray, weights: Sequence[np.ndarray]) -> Values:
        """Everything that is measured of a clip, by name; `weights` (n, 224, 224) of some clips after another."""
        parts: list[Values] = []
        start = 0
        for truth in weights:
            parts.append(self._measure(protocol, levels, truth, slice(start, start + len(truth))))
            start += len(truth)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _measure(self, protocol: ListeningProtocol, levels: np.ndarray, truth: np.ndarray, chosen: slice) -> Values:
        level = levels[chosen]
        mixed = self._mixing(protocol, chosen)
        own = mixed(_enlarged(self.own[chosen], protocol, protocol.align_corners))
        masks, cuts = _above(own, level, protocol), own_cuts(own, truth) if protocol.printed_levels else {}
        found, others, cut_others = own_values(masks, truth), dict[str, np.ndarray](), dict[str, np.ndarray]()
        found["iou"] = self._defined(found["iou"], masks, truth, protocol, chosen)
        if cuts:
            found |= mixed_list(own, truth, cuts, protocol.printed_levels)
        for name, maps in self.controls.items():
            has = self.has(name)[chosen]
            if not has.any():
                under = (*UNDER, *(UNDER_CUTS if cuts else ()))
                found |= {f"{key}_{name}": np.full(len(has), np.nan) for key in under}
                continue
            other = np.where(has[:, None, None], maps[chosen], np.float32(0))
            high = mixed(_enlarged(other, protocol, protocol.control_align_corners))
            others[name] = _above(high, level, protocol)
            values = under_control(masks, others[name], truth)
            if cuts:
                values |= under_own_cuts(own, high, cuts)
                cut_others[name] = at_truth(high, cuts)
            values["iou"] = self._defined(values["iou"], others[name] | ~has[:, None, None], truth, protocol, chosen)
            values["correlation"] = map_correlation(
                *(self._low(each, protocol, chosen) for each in (self.own[chosen], other))
            )
            found |= {f"{key}_{name}": np.where(has, each, np.nan) for key, each in values.items()}
        found |= self._between("overlap", others, chosen)
        return found | (self._between(ADAPTIVE_OVERLAP, cut_others, chosen) if cuts else {})

    def _between(self, measured: str, masks: Mapping[str, np.ndarray], chosen: slice) -> Values:
        """IoU of the masks under two negative sounds, of every pair of these that was asked."""
        found = {}
        for one, other in (pair for pair in NEGATIVE_PAIRS if all(name in self.controls for name in pair)):
            both = (self.has(one) & self.has(other))[chosen]
            agreement = mask_agreement(masks[one], masks[other]) if both.any() else np.nan
            found[f"{measured}_{one}_{other}"] = np.where(both, agreement, np.nan)
        return found

    def _defined(
        self, iou: np.ndarray, masks: np.ndarray, truth: np.ndarray, protocol: ListeningProtocol, chosen: slice
    ) -> np.ndarray:
        """IoU (N,), 0/0 as the protocol has it. InputError names a clip where that is to stop."""
        nothing = ~(masks | (truth > 0)).any(axis=(1, 2))
        if protocol.undefined == "zero" or not nothing.any():
            return iou
        if protocol.undefined == "raise":
            raise InputError(
                f"Nothing of {self.keys[chosen][int(nothing.argmax())]} is true and nothing of its map reaches the "
                "threshold, so that its IoU is 0/0. Leave undefined=raise out, or the clip."
            )
        return np.where(nothing, np.nan, iou)

    def _mixing(self, protocol: ListeningProtocol, chosen: slice) -> Callable[[np.ndarray], np.ndarray]:
        """What becomes of enlarged maps: the prior is enlarged as maps of own sounds are, under every sound."""
        if (guide := self.guide) is None:
            return lambda maps: maps
        prior = upsample(guide.maps[chosen], protocol.interpolation, protocol.align_corners)
        return lambda maps: guide.mixed(maps, prior)


_NO_NEGATIVES = (
    "There is no clip with a negative sound (silence, noise, off-screen) to take the threshold from. Add maps_silence "
    "or another of them, or score under a protocol with a released threshold, such as vssl_ezvsl."
)

_NO_VALIDATION = (
    "{} cuts where a validation set says. Run `training evaluate` with --threshold-set, or give the array thresholds "
    "beside the maps: the number of_all under threshold in a result on other clips under vssl_textbook."
)


def _threshold(maxima: Sequence[np.ndarray], chosen: np.ndarray, protocol: ListeningProtocol) -> float:
    """By the rule, of the maps (N,) that are chosen and there. InputError where none is."""
    pooled = [each[chosen & ~np.isnan(each)] for each in maxima]
    if not sum(map(len, pooled)):
        raise InputError(_NO_NEGATIVES)
    if protocol.pooling == "one_list":
        return threshold_from_negatives(pooled, protocol.quantile)
    return float(np.mean([threshold_from_negatives([each], protocol.quantile) for each in pooled if len(each)]))


def _above(maps: np.ndarray, levels: np.ndarray, protocol: ListeningProtocol) -> np.ndarray:
    """bool (N, H, W): the pixels above each map's level, or also those at it."""
    levels = levels[:, None, None]
    return maps >= levels if protocol.comparator == ">=" else maps > levels


def _enlarged(raw: np.ndarray, protocol: ListeningProtocol, align_corners: bool) -> np.ndarray:
    """float32 (N, 224, 224)."""
    return _scaled(upsample(raw, protocol.interpolation, align_corners), protocol)


def _scaled(maps: np.ndarray, protocol: ListeningProtocol) -> np.ndarray:
    """Maps on the scale that thresholds are on; no map is stretched by its own values."""
    return rescale(maps, *protocol.map_range) if protocol.scaling == "fixed" else maps


def own_values(masks: np.ndarray, truth: np.ndarray) -> Values:
    """What is measured under the own sound of masks (N, H, W) against truths (N, H, W), each (N,)."""
    return {
        "iou": ciou(masks, truth),
        "active": active_share(masks),
        "outside_truth": false_positive_rate(masks, truth > 0),
    }


def under_control(masks: np.ndarray, other: np.ndarray, truth: np.ndarray) -> Values:
    """What is measured of `other`, masks under a control, beside those under the own sound; all (N, H, W) -> (N,)."""
    return {"pia": active_share(other), "overlap": mask_agreement(masks, other), "iou": ciou(other, truth)}
