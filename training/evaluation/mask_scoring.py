"""AVSBench's measurement of raw maps: mask IoU and F-score against pixel masks, streamed like `scoring`.

The protocol "avsbench" has one unpublished step, how a cosine map becomes a probability: here bilinear enlarging and a
min-max stretch, for every method alike. mIoU is given at probability 0.5, the released rule, and for the top half of
the picture; F is given per video of five frames (AVSBench) and once for the data set (ACL-SSL), which are different
numbers. Where a set has boxes only, their union stands in for the mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.avsbench import load_mask
from manifests.formats import Truth
from training.evaluation.avsbench import BETA_SQUARED, THRESHOLDS, f_curves, f_score, mask_iou
from training.evaluation.bootstrap import mean_intervals
from training.evaluation.chain import AUDIO_VISUAL, binarise
from training.evaluation.floors import floor_masks
from training.evaluation.protocols import PROTOCOLS, Protocol
from training.evaluation.rawmaps import RawMaps, match_names
from training.evaluation.results import ROW_SCHEMA, Result
from training.evaluation.truth import SIZE, weight_maps

CHAIN = Protocol(
    "avsbench", "AVSBench f7414af utility.py mask_iou, Eval_Fmeasure; ACL-SSL 57f4a6c for f_data_set",
    align_corners=False, rule="fixed", comparator=">",
)  # fmt: skip
PROTOCOL = CHAIN.as_json() | {"beta_squared": BETA_SQUARED, "f_thresholds": len(THRESHOLDS)}
_BATCH = 64


@dataclass(frozen=True)
class _Frames:
    """Per-frame values of one map: IoU at both rules (F,), F curves (F, 255), confidence (F,)."""

    iou: np.ndarray
    top_half: np.ndarray
    curves: np.ndarray
    confidence: np.ndarray


def score_masks(raw: RawMaps, truth: Truth, *, seed: int = 0, run: str | None = None) -> Result:
    """Score raw maps of frames `<...>/<video>_<n>` against pixel masks. InputError as `score_maps`."""
    positions = match_names(raw.names, truth.test_set)
    keys = [key for key in truth.test_set.keys if key in positions]
    found: dict[str, list[_Frames]] = {}
    areas: list[float] = []
    for start in range(0, len(keys), _BATCH):
        chunk = keys[start : start + _BATCH]
        masks = _masks(truth, chunk)
        areas += (masks.sum(axis=(1, 2)) / SIZE**2).tolist()
        prepared = raw.prepare([positions[key] for key in chunk], CHAIN)
        for name, values in prepared.items():
            found.setdefault(name, []).append(_frames(values.maps, masks, values.confidence))
        for name, floor in floor_masks(chunk, PROTOCOLS["ezvsl"], masks.sum(axis=(1, 2)), seed).items():
            found.setdefault(f"floor:{name}", []).append(_frames(floor.astype(np.float32), masks, np.zeros(len(chunk))))
        found.setdefault("ceiling", []).append(_frames(masks.astype(np.float32), masks, np.zeros(len(chunk))))
    has_truth = np.array(areas) > 0
    joined = {name: _joined(parts) for name, parts in found.items()}
    scores = {name: _scores(frames, keys, has_truth, seed) for name, frames in joined.items()}
    maps = [name for name in scores if not name.startswith("floor:") and name != "ceiling"]
    summary = {
        "test_set": truth.test_set.name,
        "task": "segmentation",
        "protocol": PROTOCOL,
        "lists": {"truth": {"name": truth.test_set.name, "sha256": truth.test_set.sha256}},
        "run": run,
        "seed": seed,
        "n_expected": len(truth.test_set.annotations),
        "n_scored": len(keys),
        "missing": sorted(set(truth.test_set.keys) - positions.keys()),
        "n_empty_truth": int((~has_truth).sum()),
        "truth_from": "masks" if truth.masks else "boxes",
        "scores": {name: scores[name] for name in maps},
        "floors": {name.removeprefix("floor:"): scores[name] for name in scores if name.startswith("floor:")},
        "ceiling": scores["ceiling"],
    }
    return Result(_table(truth, keys, areas, {name: joined[name] for name in maps}), summary)


def _masks(truth: Truth, keys: Sequence[str]) -> np.ndarray:
    """bool (F, 224, 224) of the frames `keys`."""
    if truth.masks is not None:
        return np.stack([load_mask(truth.masks.masks[key]) for key in keys])
    by_key = {annotation.key: annotation for annotation in truth.test_set.annotations}
    return weight_maps([by_key[key] for key in keys]) > 0


def _frames(probabilities: np.ndarray, masks: np.ndarray, confidence: np.ndarray) -> _Frames:
    half = binarise(probabilities, PROTOCOLS["textbook"]).masks
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
    videos: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        videos.setdefault(key.rpartition("_")[0], []).append(position)
    groups = list(videos.values())
    flagged = has_truth[:, None]
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
