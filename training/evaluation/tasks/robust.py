"""AVSBench-Robust: what a segmenter shows when the sound is wrong, beside how well it does when the sound is right.

`maps.npz` holds maps named for each control, as for listening; they are logits: above 0 is shown, as sigmoid(z) > 0.5
is. The released FPR is the predicted area, own sound or not, and is averaged over batches of videos; a false positive
rate divides what is wrongly shown by what is background. The released loader keeps the object's mask under negative
sounds, so that a low mIoU and F are good there; with nothing sounding the mask is empty, mIoU is the share left out,
and F is 0. Groups of frames of a video are read off their names, `<video>_<n>`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from scipy.special import expit

from manifests.sound_draws import NEGATIVES
from manifests.test_sets import Truth
from training.evaluation.control_maps import ControlMaps, counted_control, read_controls, taken
from training.evaluation.control_protocols import ControlledProtocol
from training.evaluation.false_positives import false_positive_rate, logits_above_half, released_fpr
from training.evaluation.floors import CENTRED_DISC, NOTHING, WHOLE_IMAGE, disc_masks
from training.evaluation.maps import upsample
from training.evaluation.needs import refuse_negatives, require_boxes
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.raw_maps import match_names
from training.evaluation.reaches import COUNT, Reach
from training.evaluation.results import Result, counted
from training.evaluation.scores import Score
from training.evaluation.segmentation import f_curves, f_score, mask_iou
from training.evaluation.tasks.segmentation import incomplete_videos, rows_by_video
from training.evaluation.true_masks import true_masks, truth_from

OWN = "own"
SCORES = (
    Score("robust_miou", "mIoU, own sound", "mean over batches of videos of the IoU with the mask, as AVSBench."),
    Score("robust_f", "F, own sound", "F-score, beta squared 0.3, at each batch's best threshold, as AVSBench."),
    Score("fpr_*", "FPR *, as released", "share of the image shown under *, whatever is true.", higher_is_better=False),
    Score("background_*", "FPR *", "share of the pixels outside the mask shown under *; of silence and other negative "
          "sounds the mask is empty.", higher_is_better=False),
    Score("robust_miou_*", "mIoU *", "IoU with the object's mask under *, where it does not sound: less is better.",
          higher_is_better=False),
    Score("robust_f_*", "F *", "F-score with the object's mask under *: less is better.", higher_is_better=False),
    Score("quiet_miou_*", "mIoU *, empty mask", "IoU with an empty mask under *: the share left out."),
)  # fmt: skip
ANSWERS, TAKES = ControlMaps, "one map a frame under each of several sounds"
ARRAYS, OPTIONAL = ("names", "maps"), tuple(f"maps_{control}" for control in NEGATIVES)
read = read_controls
_BATCH = 32


@dataclass(frozen=True)
class RobustProtocol(ControlledProtocol):
    """`videos_per_batch`: how many videos the released loop averages at once; a short last batch counts fully."""

    task: ClassVar[str] = "robust"
    choices: ClassVar[tuple[str, ...]] = ("interpolation", "align_corners", "videos_per_batch")
    videos_per_batch: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.sound_seeds) > 1 or self.off_screen_by_class or self.unlogged:
            raise ValueError("its sounds are drawn once, by groups of classes, and none is without its logarithm")

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {**super().reaches, "videos_per_batch": COUNT}

    @property
    def asks(self) -> str:
        return "controls_by_group"


@dataclass(frozen=True)
class _Frames:
    """Per frame: area shown, share of background shown, IoU (F,), F curves (F, 255), whether it has a mask (F,)."""

    area: np.ndarray
    background: np.ndarray
    iou: np.ndarray
    curves: np.ndarray
    seen: np.ndarray

    def only(self, rows: list[int]) -> "_Frames":
        return _Frames(self.area[rows], self.background[rows], self.iou[rows], self.curves[rows], self.seen[rows])


def check(truth: Truth, protocol: RobustProtocol) -> None:
    """InputError for a truth without masks or boxes, or with silent pairs."""
    require_boxes(truth, protocol, or_masks=True)
    refuse_negatives(truth, protocol)


def score(
    found: ControlMaps, truth: Truth, protocol: RobustProtocol, *, seed: int = 0, run: str | None = None
) -> Result:
    """Score logits under each sound. InputError for a map with NaN in part, or no name in common."""
    found.require_draws(protocol)
    positions = match_names(found.own.names, truth.test_set)
    keys = [key for key in truth.test_set.keys if key in positions]
    rows = [positions[key] for key in keys]
    sounds = {OWN: found.own.finite(found.own.maps, rows)}
    given = {name: maps for name, maps in found.controls.items() if name in NEGATIVES}
    sounds |= {name: taken(np.asarray(maps)[rows], keys, name) for name, maps in given.items()}
    has = {name: np.asarray(~np.isnan(maps).any(axis=(1, 2))) for name, maps in sounds.items()}
    parts = [_measure(sounds, truth, protocol, keys, slice(at, at + _BATCH)) for at in range(0, len(keys), _BATCH)]
    measured = {name: {sound: _joined([part[name][sound] for part in parts]) for sound in each}
                for name, each in parts[0].items()}  # fmt: skip
    scores = {name: _scores(each, has, keys, protocol) for name, each in measured.items()}
    own = measured[AUDIO_VISUAL]
    summary = counted(truth.test_set, keys, run) | {
        "task": "robust",
        "protocol": protocol.as_json(),
        "seed": seed,
        "truth_from": truth_from(truth),
        "controls": {name: counted_control(keys, has.get(name)) for name in NEGATIVES},
        "n_empty_truth": int((~own[OWN].seen).sum()),
        "n_incomplete_videos": incomplete_videos(keys, truth.test_set.keys),
        "scores": {AUDIO_VISUAL: scores.pop(AUDIO_VISUAL)},
        "ceiling": scores.pop("ceiling"),
        "floors": scores,
    }
    return Result(_table(truth, keys, own, has), summary)


def _measure(
    sounds: dict[str, np.ndarray], truth: Truth, protocol: RobustProtocol, keys: Sequence[str], chosen: slice
) -> dict[str, dict[str, _Frames]]:
    """Maps, floors and ceiling of a batch under every sound."""
    masks = true_masks(truth, keys[chosen])
    high = {name: upsample(np.nan_to_num(maps[chosen]), protocol.interpolation, protocol.align_corners)
            for name, maps in sounds.items()}  # fmt: skip
    disc, whole = disc_masks(protocol, masks.sum(axis=(1, 2))), np.ones_like(masks)
    deaf = {CENTRED_DISC: disc, WHOLE_IMAGE: whole, NOTHING: ~whole}
    floors = {name: dict.fromkeys(sounds, _frames(_logits(each), masks)) for name, each in deaf.items()}
    quiet = _frames(_logits(~whole), masks)
    return {
        AUDIO_VISUAL: {name: _frames(maps, masks) for name, maps in high.items()},
        **floors,
        "ceiling": {name: _frames(_logits(masks), masks) if name == OWN else quiet for name in sounds},
    }


def _logits(masks: np.ndarray) -> np.ndarray:
    """Masks as logits that are sure of every pixel."""
    return np.where(masks, np.float32(40), np.float32(-40))


def _frames(logits: np.ndarray, truth: np.ndarray) -> _Frames:
    shown = logits_above_half(logits)
    probabilities = expit(logits.astype(np.float64)).astype(np.float32)
    seen = np.asarray(truth.any(axis=(1, 2)))
    background = false_positive_rate(shown, truth)
    return _Frames(released_fpr(shown), background, mask_iou(shown, truth), f_curves(probabilities, truth), seen)


def _joined(parts: Sequence[_Frames]) -> _Frames:
    fields = ("area", "background", "iou", "curves", "seen")
    return _Frames(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def _scores(
    frames: dict[str, _Frames], has: dict[str, np.ndarray], keys: Sequence[str], protocol: RobustProtocol
) -> dict[str, float | None]:
    """The numbers of a map under all sounds; None of a sound that no frame has."""
    found: dict[str, float | None] = {}
    for sound in (OWN, *NEGATIVES):
        rows = np.flatnonzero(has[sound]).tolist() if sound in has else []
        end = "" if sound == OWN else f"_{sound}"
        if not rows:
            found |= dict.fromkeys((f"robust_miou{end}", f"robust_f{end}", f"fpr_{sound}"))
            continue
        own, batches = frames[sound].only(rows), video_batches([keys[row] for row in rows], protocol.videos_per_batch)
        found |= {
            f"robust_miou{end}": _mean_of_batches(own.iou, batches),
            f"robust_f{end}": float(np.mean([f_score(own.curves[b], own.seen[b, None]) for b in batches])),
            f"fpr_{sound}": _mean_of_batches(own.area, batches),
            f"background_{sound}": float((own.background if sound == OWN else own.area).mean()),
        }
        if sound != OWN:
            found[f"quiet_miou_{sound}"] = 1 - _mean_of_batches(own.area, batches)
    return found


def video_batches(keys: Sequence[str], videos: int) -> list[np.ndarray]:
    """The rows of each batch of so many videos, in the order in which videos first come."""
    every = rows_by_video(keys)
    return [np.concatenate(every[start : start + videos]) for start in range(0, len(every), videos)]


def _mean_of_batches(values: np.ndarray, batches: Sequence[np.ndarray]) -> float:
    return float(np.mean([values[batch].mean() for batch in batches]))


def _table(truth: Truth, keys: Sequence[str], frames: dict[str, _Frames], has: dict[str, np.ndarray]) -> pa.Table:
    annotations = {one.key: one for one in truth.test_set.annotations}
    areas = [float(mask.mean()) for start in range(0, len(keys), _BATCH)
             for mask in true_masks(truth, keys[start : start + _BATCH])]  # fmt: skip
    columns: dict[str, Any] = {
        "key": list(keys), "map": [AUDIO_VISUAL] * len(keys), "iou": frames[OWN].iou, "confidence": [None] * len(keys),
        "area": areas, "boxes": [len(annotations[key].boxes) for key in keys],
        "label": [annotations[key].label for key in keys],
        "flags": [[] if area else ["empty_truth"] for area in areas],
    }  # fmt: skip
    shown = {f"fpr_{name}": np.where(has[name], each.area, np.nan) for name, each in frames.items()}
    return pa.table(columns | shown)
