"""Segmentation (AVSBench S4 and MS3): mask IoU and F-score of maps against pixel masks, streamed like localization.

The protocol "avsbench" has one unpublished step, how a cosine map becomes a probability: here bilinear enlarging and a
min-max stretch, for every method alike. mIoU is given at probability 0.5, the released rule, and for the top half of
the frame. Where a set has boxes only, their union stands in for the mask.

The released F-score (AVSBench f7414af `avs_s4/utils/utility.py` `Eval_Fmeasure`) takes its maximum over thresholds
inside each batch and then averages over batches: the same 20 frames give 0.3213, 0.4854 or 0.4015 with batches of 5, 10
or 20. Published numbers use one video of 5 frames a batch (`f_per_video`); ACL-SSL takes the maximum once for the whole
data set (`f_data_set`). Both are reported here, and named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.keys import video_of_frame
from manifests.truth import Truth
from training.evaluation.bootstrap import mean_intervals
from training.evaluation.floors import floor_masks
from training.evaluation.needs import refuse_negatives, require_boxes
from training.evaluation.postprocess import AUDIO_VISUAL, binarise
from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols.ezvsl import EZVSL
from training.evaluation.protocols.textbook import TEXTBOOK
from training.evaluation.raw_maps import RawMaps, match_names, read_single_maps
from training.evaluation.results import ROW_SCHEMA, Result
from training.evaluation.scores import Score
from training.evaluation.true_masks import true_masks, truth_from
from training.evaluation.truth import SIZE

BETA_SQUARED = 0.3
FRAMES_PER_VIDEO = 5
# 255 float32 values, the last of which is exactly 1 because 1 - 1e-10 rounds to it
THRESHOLDS = np.linspace(0, 1 - 1e-10, 255).astype(np.float32)
SCORES = (
    Score("miou", "mIoU", "mean over videos of the IoU with the pixel mask, at probability 0.5."),
    Score("miou_top_half", "mIoU, top half", "the same with the highest half of the frame as mask."),
    Score("f_per_video", "F per video", "F-score, beta squared 0.3, at each video's best threshold, as AVSBench."),
    Score("f_data_set", "F of the data set", "the same with one best threshold for the whole data set, as ACL-SSL."),
)
ANSWERS, TAKES = RawMaps, "one map a frame"
ARRAYS, OPTIONAL = ("names", "maps"), ("object_maps", "confidence")
read = read_single_maps
_BATCH = 64


@dataclass(frozen=True)
class MaskProtocol(MapProtocol):
    """How maps become probabilities, and how the F-score weighs precision."""

    task: ClassVar[str] = "segmentation"
    choices: ClassVar[tuple[str, ...]] = ("interpolation", "align_corners", "scaling", "stretch")
    beta_squared: float = BETA_SQUARED
    f_thresholds: int = len(THRESHOLDS)


def check(truth: Truth, protocol: MaskProtocol) -> None:
    """Masks, or boxes whose union stands in for them. InputError for neither, or for negatives, which have no mask."""
    require_boxes(truth, protocol, or_masks=True)
    refuse_negatives(truth, protocol)


# --- the measures -----------------------------------------------------------------------------------------------------


def mask_iou(masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 (F,): IoU of bool masks and bool truth, both (F, H, W).

    A frame without truth scores the share of pixels predicted as background: 1 for an empty prediction (`mask_iou`).
    """
    masks, truth = masks.reshape(len(masks), -1), truth.reshape(len(truth), -1)
    intersection, union = (masks & truth).sum(axis=1), (masks | truth).sum(axis=1)
    background = (~masks & ~truth).sum(axis=1) / (masks.shape[1] + 1e-7)
    return np.where(truth.any(axis=1), intersection / (union + 1e-7), background)


def f_curves(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 (F, 255): F with beta^2 = 0.3 at each of THRESHOLDS, prediction = probability >= threshold.

    probabilities float32 (F, H, W) in [0, 1], truth bool (F, H, W). Rows of frames without truth are 0. ValueError for
    NaN, where the released code predicts nothing.
    """
    if np.isnan(probabilities).any():
        raise ValueError("the predicted probabilities hold NaN")
    return np.stack([_f_curve(*frame) for frame in zip(probabilities, truth, strict=True)])


def f_score(curves: np.ndarray, truth: np.ndarray, frames_per_batch: int | None = None) -> float:
    """The largest mean F over thresholds; frames without truth are left out of the mean.

    frames_per_batch None: one maximum for the whole data set (ACL-SSL). An int: a maximum per batch of that many frames
    and the mean over batches, a batch without any truth counting 0 (AVSBench; 5 is what papers report).
    """
    has_truth = np.any(truth.reshape(len(truth), -1), axis=1)
    size = frames_per_batch or len(curves)
    starts = range(0, len(curves), size)
    return float(np.mean([_best(curves[start : start + size][has_truth[start : start + size]]) for start in starts]))


def mean_over_batches(values: np.ndarray, frames_per_batch: int) -> float:
    """Mean of batch means: an unequal last batch counts fully, as in the released loop."""
    return float(
        np.mean([values[start : start + frames_per_batch].mean() for start in range(0, len(values), frames_per_batch)])
    )


def avsbench_summary(probabilities: np.ndarray, truth: np.ndarray, masks: np.ndarray | None = None) -> dict[str, Any]:
    """mIoU and F of frames in video order. `masks` default to probability > 0.5, strictly, as released."""
    masks = probabilities > 0.5 if masks is None else masks
    iou, curves = mask_iou(masks, truth), f_curves(probabilities, truth)
    return {
        "n_frames": len(truth),
        "n_empty_truth": int((~truth.reshape(len(truth), -1).any(axis=1)).sum()),
        "miou": mean_over_batches(iou, FRAMES_PER_VIDEO),
        "f_per_video": f_score(curves, truth, FRAMES_PER_VIDEO),
        "f_data_set": f_score(curves, truth),
    }


def _f_curve(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """F at every threshold of one frame, from counts of sorted values instead of 255 comparisons of the image."""
    if not truth.any():
        return np.zeros(len(THRESHOLDS))
    hits, predicted = _count_at(probability[truth]), _count_at(probability.ravel())
    precision, recall = hits / (predicted + 1e-20), hits / (truth.sum() + 1e-20)
    bottom = BETA_SQUARED * precision + recall
    top = (1 + BETA_SQUARED) * precision * recall
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _count_at(values: np.ndarray) -> np.ndarray:
    return len(values) - np.searchsorted(np.sort(values), THRESHOLDS, side="left")


def _best(curves: np.ndarray) -> float:
    return float(curves.mean(axis=0).max()) if len(curves) else 0.0


# --- raw maps against masks -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Frames:
    """Per-frame values of one map: IoU at both rules (F,), F curves (F, 255), confidence (F,)."""

    iou: np.ndarray
    top_half: np.ndarray
    curves: np.ndarray
    confidence: np.ndarray


def score(raw: RawMaps, truth: Truth, protocol: MaskProtocol, *, seed: int = 0, run: str | None = None) -> Result:
    """Score raw maps of frames `<...>/<video>_<n>` against pixel masks. InputError as `RawMaps.prepare`."""
    positions = match_names(raw.names, truth.test_set)
    keys = [key for key in truth.test_set.keys if key in positions]
    found: dict[str, list[_Frames]] = {}
    areas: list[float] = []
    for start in range(0, len(keys), _BATCH):
        chunk = keys[start : start + _BATCH]
        masks = true_masks(truth, chunk)
        areas += (masks.sum(axis=(1, 2)) / SIZE**2).tolist()
        prepared = raw.prepare([positions[key] for key in chunk], protocol)
        for name, values in prepared.items():
            found.setdefault(name, []).append(_frames(values.maps, masks, values.confidence))
        for name, floor in floor_masks(chunk, EZVSL, masks.sum(axis=(1, 2)), seed).items():
            found.setdefault(f"floor:{name}", []).append(_frames(floor.astype(np.float32), masks, np.zeros(len(chunk))))
        found.setdefault("ceiling", []).append(_frames(masks.astype(np.float32), masks, np.zeros(len(chunk))))
    has_truth = np.array(areas) > 0
    joined = {name: _joined(parts) for name, parts in found.items()}
    scores = {name: _scores(frames, keys, has_truth, seed) for name, frames in joined.items()}
    maps = [name for name in scores if not name.startswith("floor:") and name != "ceiling"]
    summary = {
        "test_set": truth.test_set.name,
        "task": "segmentation",
        "protocol": protocol.as_json(),
        "lists": {"truth": {"name": truth.test_set.name, "sha256": truth.test_set.sha256}},
        "run": run,
        "seed": seed,
        "n_expected": len(truth.test_set.annotations),
        "n_scored": len(keys),
        "missing": sorted(set(truth.test_set.keys) - positions.keys()),
        "n_empty_truth": int((~has_truth).sum()),
        "truth_from": truth_from(truth),
        "scores": {name: scores[name] for name in maps},
        "floors": {name.removeprefix("floor:"): scores[name] for name in scores if name.startswith("floor:")},
        "ceiling": scores["ceiling"],
    }
    return Result(_table(truth, keys, areas, {name: joined[name] for name in maps}), summary)


def _frames(probabilities: np.ndarray, masks: np.ndarray, confidence: np.ndarray) -> _Frames:
    half = binarise(probabilities, TEXTBOOK).masks
    return _Frames(
        mask_iou(probabilities > 0.5, masks), mask_iou(half, masks), f_curves(probabilities, masks), confidence
    )


def _joined(parts: list[_Frames]) -> _Frames:
    fields = ("iou", "top_half", "curves", "confidence")
    return _Frames(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def _scores(frames: _Frames, keys: Sequence[str], has_truth: np.ndarray, seed: int) -> dict[str, Any]:
    """Means over videos for what AVSBench computes per batch of one video, so that a lost frame shifts no other.

    The intervals resample videos; `f_data_set` has none, its one maximum is no mean of theirs.
    """
    groups, flagged = rows_by_video(keys), has_truth[:, None]
    columns = {
        "miou": np.array([frames.iou[group].mean() for group in groups]),
        "miou_top_half": np.array([frames.top_half[group].mean() for group in groups]),
        "f_per_video": np.array([f_score(frames.curves[group], flagged[group]) for group in groups]),
    }
    means = {name: float(column.mean()) for name, column in columns.items()}
    return {
        **means,
        "f_data_set": f_score(frames.curves, flagged),
        "interval95": mean_intervals(columns, seed),
    }


def rows_by_video(keys: Sequence[str]) -> list[list[int]]:
    """The rows of each video's frames, in the order in which videos first come."""
    videos: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        videos.setdefault(video_of_frame(key), []).append(row)
    return list(videos.values())


def _table(truth: Truth, keys: Sequence[str], areas: list[float], maps: dict[str, _Frames]) -> pa.Table:
    labels, count = truth.test_set.labels, len(keys)
    boxes = {annotation.key: len(annotation.boxes) for annotation in truth.test_set.annotations}
    columns: dict[str, list[Any]] = {name: [] for name in ROW_SCHEMA.names}
    for name in sorted(maps, key=lambda each: each != AUDIO_VISUAL):
        rows = {
            "key": keys, "map": [name] * count, "iou": maps[name].iou.tolist(), "area": areas,
            "confidence": maps[name].confidence.tolist(), "boxes": [boxes[key] for key in keys],
            "label": [labels[key] for key in keys], "flags": [[] if area else ["empty_truth"] for area in areas],
        }  # fmt: skip
        for column, values in rows.items():
            columns[column].extend(values)
    return pa.table(columns, schema=ROW_SCHEMA)
