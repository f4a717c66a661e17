"""Listening: every image under its own sound and under controls, and how much of what a model shows depends on it.

`maps.npz` then also holds maps named for each control: `maps_silence`, `maps_noise`, `maps_offscreen` (a sound of
another class) and `maps_swapped` (another sound of the same class), each (N, h, w) in the order of `names`. A map that
is NaN throughout says that the clip has no such partner: it is counted and named, and the control is scored on the
others. No confidence is needed. The vision-only floors are shown under every sound alike, so they hear nothing.

`vssl_ciou` is a mean, unlike the share of clips that tables call cIoU. `hears` is 1 minus the mean IoU of the masks
under the own and the off-screen sound: of all pixels shown under either, the share shown under one of them only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.annotations import Annotation
from manifests.pixels import SIZE
from manifests.sound_draws import CONTROLS, NEGATIVES, OFF_SCREEN, SILENCE, SWAPPED
from manifests.test_sets import INTERACTIVE, Truth
from training.evaluation import printed
from training.evaluation.control_maps import THRESHOLDS, ControlMaps, read_controls, taken
from training.evaluation.control_protocols import ListeningProtocol
from training.evaluation.floors import CENTRED_DISC, NOTHING, WHOLE_IMAGE, disc_masks
from training.evaluation.listening import (
    NEGATIVE_PAIRS,
    auc_of_silence,
    positive_negative_scores,
)
from training.evaluation.localization import auc
from training.evaluation.metrics.interactive import interactive_summary
from training.evaluation.needs import refuse_negatives, require_boxes
from training.evaluation.postprocess import AUDIO_VISUAL, COMBINED, OBJECT_PRIOR
from training.evaluation.printed import ADAPTIVE_IOU, printed_scores
from training.evaluation.raw_maps import RawMaps, match_names
from training.evaluation.results import Result, counted
from training.evaluation.scores import Score
from training.evaluation.true_masks import truth_from, weights_of
from training.evaluation.under_sounds import Guide, Sounds, Values, own_values, under_control

SCORES = (
    Score("hears", "hears", "of the pixels shown under the own or an off-screen sound, how many under one only."),
    Score("vssl_ciou", "mean cIoU, own threshold", "mean IoU with the truth at a threshold taken from negatives."),
    Score("vssl_auc", "AUC, own threshold", "area under the share of clips whose IoU reaches t, at that threshold."),
    Score("f_loc", "F_LOC", "harmonic mean of that mean cIoU and the share of the image left out under negatives."),
    Score("f_auc", "F_AUC", "harmonic mean of that AUC and the mean AUC_N."),
    Score("pia_*", "pIA *", "share of the image shown as sounding under *.", higher_is_better=False),
    Score("auc_n_*", "AUC_N *", "area under the share of clips that show at most t of the image under *."),
    *(
        Score(f"overlap_{one}_{other}", f"mask IoU {one} and {other}", f"IoU of the masks under {one} and {other}, one "
              "negative sound and another.", higher_is_better=False)
        for one, other in NEGATIVE_PAIRS
    ),
    Score("overlap_*", "mask IoU *", "IoU of the masks under the own sound and under *.", higher_is_better=False),
    Score("correlation_*", "correlation *", "of an image's maps under its own sound and under *; 1: the sound changes "
          "nothing.", higher_is_better=False, scale=1.0, unit="r"),
    Score("ciou_drop_*", "cIoU lost *", "mean cIoU under the own sound minus that under *."),
    Score("outside_truth", "FPR", "share of the pixels outside the truth that are shown.", higher_is_better=False),
    *printed.SCORES,
)  # fmt: skip
ARRAYS = ("names", "maps")
OPTIONAL = ("object_maps", "confidence", THRESHOLDS, *(f"maps_{control}" for control in CONTROLS))


_BATCH = 32
ANSWERS, TAKES = ControlMaps, "one map a frame under each of several sounds"
read = read_controls


def check(truth: Truth, protocol: ListeningProtocol) -> None:
    """InputError for a truth without boxes or masks, or with silent pairs: the controls are drawn here."""
    require_boxes(truth, protocol, or_masks=True)
    refuse_negatives(truth, protocol)


def score(
    found: ControlMaps, truth: Truth, protocol: ListeningProtocol, *, seed: int = 0, run: str | None = None
) -> Result:
    """Score maps under each control. InputError for a map with NaN in part, or no name in common."""
    found.require_draws(protocol)
    positions = match_names(found.own.names, truth.test_set)
    annotations = [one for one in truth.test_set.annotations if one.key in positions]
    keys, rows = [one.key for one in annotations], [positions[one.key] for one in annotations]
    sounds = _by_map(found, rows, keys)
    weights = [weights_of(truth, keys[start : start + _BATCH]) for start in range(0, len(keys), _BATCH)]
    levels = {name: each.levels(protocol) for name, each in sounds.items()}
    every = weights * found.draws
    measured = {name: each.measure(protocol, levels[name], every) for name, each in sounds.items()}
    asked = tuple(name for name in found.controls if sounds[AUDIO_VISUAL].has(name).any())
    floors = _floors(found.own, rows, keys, asked, protocol, weights)
    own = levels[AUDIO_VISUAL]
    groups = {"interactive": _interactive(measured, keys, truth.test_set.keys)} if INTERACTIVE in truth.tasks else {}
    summary = counted(truth.test_set, keys, run) | {
        "task": "listening",
        "protocol": protocol.as_json(),
        "seed": seed,
        "truth_from": truth_from(truth),
        "threshold": {
            "from": sounds[AUDIO_VISUAL].threshold_from(protocol),
            "lowest": float(own.min()),
            "highest": float(own.max()),
        }
        | _of_all(sounds, protocol),
        "controls": {name: sounds[AUDIO_VISUAL].counts(name) for name in CONTROLS},
        "scores": {name: _scores(each) for name, each in measured.items()},
        "floors": {name: _scores(each) for name, each in floors.items()},
        "ceiling": _ceiling(weights),
        "n_empty_truth": int(sum((~each.any(axis=(1, 2))).sum() for each in weights)),
    }
    by_clip = {name: _by_clip(each, found.draws) for name, each in measured.items()}
    return Result(_table(annotations, weights, by_clip), summary | groups)


def _interactive(
    measured: Mapping[str, Values], keys: Sequence[str], every: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """What `metrics.interactive` says of each map, at the protocol's own threshold and where it cuts by truth, too.

    The released code's IIoU is NaN where a clip has neither truth nor anything shown; here such a clip has
    0, or with `undefined=nan` its map has no such numbers.
    """
    found, once = {}, slice(len(keys))  # own sounds are the same in every draw
    for name, values in measured.items():
        if np.isnan(values["iou"][once]).any():
            continue  # under `undefined=nan` no mean of this map is known, as in the released code
        found[name] = interactive_summary(keys, values["iou"][once], every)
        if ADAPTIVE_IOU in values:
            by_area = interactive_summary(keys, values[ADAPTIVE_IOU][once], every)
            found[name] |= {f"adaptive_{score}": by_area[score] for score in ("iiou", "iauc")}
    return found


def _by_map(found: ControlMaps, rows: Sequence[int], keys: Sequence[str]) -> dict[str, Sounds]:
    """The clips' maps under every sound: those of the method, and mixed with the object prior where there is one.

    Draw after draw, as the released code appends its ten repeats to the same lists.
    """
    keys, again = [*keys] * found.draws, (found.draws, 1, 1)
    own = np.tile(found.own.finite(found.own.maps, list(rows)), again)
    controls = {name: taken(found.drawn(name, rows), keys, name) for name in found.controls}
    sounds = Sounds(own, controls, keys, validated=found.thresholds.get(AUDIO_VISUAL))
    if found.own.object_maps is None:
        return {AUDIO_VISUAL: sounds}
    guide = Guide(np.tile(found.own.finite(found.own.object_maps, list(rows), "object_maps"), again), found.own.alpha)
    mixed = replace(sounds, guide=guide, validated=found.thresholds.get(COMBINED))
    return {AUDIO_VISUAL: sounds, COMBINED: mixed}


def _of_all(sounds: Mapping[str, Sounds], protocol: ListeningProtocol) -> dict[str, dict[str, float]]:
    """The threshold that these clips give to a test on others, by map, where they give one at all."""
    if protocol.threshold_from not in ("negatives", "other_half"):
        return {}
    return {"of_all": {name: each.of_all(protocol) for name, each in sounds.items()}}


def _scores(values: Values) -> dict[str, float | None]:
    """The numbers of a map from its clips' values; None for what a control that no clip has would have to say."""
    iou = values["iou"]
    known = not np.isnan(iou).any()  # 0/0 where the protocol says so
    found: dict[str, float | None] = {"vssl_ciou": None, "vssl_auc": None}
    found |= {"vssl_ciou": float(iou.mean()), "vssl_auc": auc(iou)} if known else {}
    kinds = [name for name in CONTROLS if not np.isnan(values.get(f"pia_{name}", np.array([np.nan]))).all()]
    shares = {name: values[f"pia_{name}"][~np.isnan(values[f"pia_{name}"])] for name in kinds if name in NEGATIVES}
    both = positive_negative_scores(iou, auc(iou), shares) if known and len(shares) == len(NEGATIVES) else {}
    found |= {"f_loc": both.get("f_loc"), "f_auc": both.get("f_auc"), "hears": None}
    for name in kinds:
        found[f"overlap_{name}"] = float(np.nanmean(values[f"overlap_{name}"]))
        found[f"correlation_{name}"] = float(np.nanmean(values[f"correlation_{name}"]))
    for name in (f"overlap_{one}_{other}" for one, other in NEGATIVE_PAIRS):
        if not np.isnan(values.get(name, np.array([np.nan]))).all():
            found[name] = float(np.nanmean(values[name]))
    for name, each in shares.items():
        found |= {f"pia_{name}": float(each.mean()), f"auc_n_{name}": auc_of_silence(each)}
    for name in (each for each in (OFF_SCREEN, SWAPPED) if each in kinds):
        drop = iou - values[f"iou_{name}"]
        known = not (np.isnan(drop) & ~np.isnan(values[f"pia_{name}"])).any()
        found[f"ciou_drop_{name}"] = float(np.nanmean(drop)) if known else None
    if OFF_SCREEN in kinds:
        found["hears"] = 1 - float(found[f"overlap_{OFF_SCREEN}"] or 0.0)
    return found | {"outside_truth": float(values["outside_truth"].mean())} | printed_scores(values)


def _by_clip(values: Values, draws: int) -> Values:
    """The mean of every clip's values over the draws in which it has them."""
    if draws == 1:
        return values
    found = {}
    for name, each in values.items():
        parts = each.reshape(draws, -1)
        there = (~np.isnan(parts)).sum(axis=0)
        found[name] = np.divide(np.nansum(parts, axis=0), there, out=np.full(len(there), np.nan), where=there > 0)
    return found


def _floors(
    raw: RawMaps,
    rows: Sequence[int],
    keys: Sequence[str],
    controls: Sequence[str],
    protocol: ListeningProtocol,
    weights: Sequence[np.ndarray],
) -> dict[str, Values]:
    """Answers that do not listen: the same mask under every sound."""
    disc = [disc_masks(protocol, (each != 0).sum(axis=(1, 2))) for each in weights]
    whole = [np.ones(each.shape, bool) for each in weights]
    found = {
        CENTRED_DISC: _deaf(disc, controls, weights),
        WHOLE_IMAGE: _deaf(whole, controls, weights),
        NOTHING: _deaf([~each for each in whole], controls, weights),
    }
    if raw.object_maps is not None:
        prior = raw.finite(raw.object_maps, list(rows), "object_maps")
        own = replace(
            protocol,
            scaling="none",
            threshold_from="negatives",
            control_align_corners=protocol.align_corners,
            printed_levels=(),
            undefined="zero",
        )
        levels = Sounds(prior, dict.fromkeys(NEGATIVES, prior), keys).levels(own)
        deaf = Sounds(prior, {SILENCE: prior}, keys)  # whatever the control is, it is the same map
        found[OBJECT_PRIOR] = _same_under(deaf.measure(own, levels, weights), controls)
    return found


def _deaf(masks: Sequence[np.ndarray], controls: Sequence[str], weights: Sequence[np.ndarray]) -> Values:
    parts = []
    for each, truth in zip(masks, weights, strict=True):
        same = under_control(each, each, truth) | {"correlation": np.ones(len(each))}
        parts.append(own_values(each, truth) | {f"{key}_{SILENCE}": value for key, value in same.items()})
    return _same_under({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, controls)


def _same_under(values: Values, controls: Sequence[str]) -> Values:
    """What was measured under silence, as that of all controls."""
    own = {name: each for name, each in values.items() if not name.endswith(f"_{SILENCE}")}
    under = {name.removesuffix(SILENCE): each for name, each in values.items() if name.endswith(f"_{SILENCE}")}
    pairs = [f"overlap_{one}_{other}" for one, other in NEGATIVE_PAIRS if one in controls and other in controls]
    own |= dict.fromkeys(pairs, np.ones(len(own["iou"])))
    return own | {f"{name}{each}": value for each in controls for name, value in under.items()}


def _ceiling(weights: Sequence[np.ndarray]) -> dict[str, float]:
    """The truth itself under the own sound, and nothing under any negative one."""
    iou = np.concatenate([each.any(axis=(1, 2)) for each in weights]).astype(np.float64)
    quiet = dict.fromkeys(NEGATIVES, np.zeros(len(iou)))
    best = {"vssl_ciou": float(iou.mean()), "vssl_auc": auc(iou), "hears": float(iou.mean()), "outside_truth": 0.0}
    return best | positive_negative_scores(iou, auc(iou), quiet)


def _table(annotations: Sequence[Annotation], weights: Sequence[np.ndarray], measured: dict[str, Values]) -> pa.Table:
    areas = np.concatenate([each.sum(axis=(1, 2), dtype=np.float64) for each in weights]) / SIZE**2
    about = {
        "key": [one.key for one in annotations], "confidence": [None] * len(areas), "area": areas,
        "boxes": [len(one.boxes) for one in annotations], "label": [one.label for one in annotations],
        "flags": [[] if area else ["empty_truth"] for area in areas],
    }  # fmt: skip
    return pa.concat_tables(
        [
            pa.table(about | {"map": [name] * len(areas)} | values | {"iou": pa.array(values["iou"], from_pandas=True)})
            for name, values in measured.items()
        ]
    )
