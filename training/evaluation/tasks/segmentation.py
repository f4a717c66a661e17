"""Segmentation (AVSBench S4 and MS3): mask IoU and F-score of maps against pixel masks, streamed like localization.

The protocol "avsbench" has one unpublished step, how a cosine map becomes a probability: here bilinear enlarging and a
min-max stretch, for every method alike. mIoU is given at probability 0.5, the released rule, and for the top half of
the frame. Where a set has boxes only, their union stands in for the mask.

The released F-score (AVSBench f7414af `avs_s4/utils/utility.py` `Eval_Fmeasure`) takes its maximum over thresholds
inside each batch and then averages over batches: the same 20 frames give 0.3213, 0.4854 or 0.4015 with batches of 5, 10
or 20. Published numbers use one video of 5 frames a batch (`f_per_video`); ACL-SSL takes the maximum once for the whole
data set (`f_data_set`). Both are reported here, and named.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.keys import video_of_frame
from manifests.pixels import SIZE
from manifests.test_sets import Truth
from training.evaluation.bootstrap import mean_intervals
from training.evaluation.floors import floor_masks_and_nothing
from training.evaluation.needs import refuse_negatives, require_boxes
from training.evaluation.postprocess import AUDIO_VISUAL, binarise
from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols.ezvsl import EZVSL
from training.evaluation.protocols.textbook import TEXTBOOK
from training.evaluation.raw_maps import RawMaps, match_names, read_single_maps
from training.evaluation.reaches import Reach
from training.evaluation.results import ROW_SCHEMA, Result, counted
from training.evaluation.scores import Score
from training.evaluation.segmentation import BETA_SQUARED, F_THRESHOLDS, f_curves, f_score, mask_iou
from training.evaluation.true_masks import true_masks, truth_from

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
    f_thresholds: int = F_THRESHOLDS

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {**super().reaches, "beta_squared": Reach(0), "f_thresholds": Reach(2, 10_000)}


def check(truth: Truth, protocol: MaskProtocol) -> None:
    """Masks, or boxes whose union stands in for them. InputError for neither, or for negatives, which have no mask."""
    require_boxes(truth, protocol, or_masks=True)
    refuse_negatives(truth, protocol)


@dataclass(frozen=True)
class _Frames:
    """Per-frame values of one map: IoU at both rules (F,), F curves (F, thresholds), confidence (F,)."""

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
        masks, none = true_masks(truth, chunk), np.zeros(len(chunk))
        areas += (masks.sum(axis=(1, 2)) / SIZE**2).tolist()
        prepared = raw.prepare([positions[key] for key in chunk], protocol)
        for name, values in prepared.items():
            found.setdefault(name, []).append(_frames(values.maps, masks, values.confidence, protocol))
        for name, floor in floor_masks_and_nothing(chunk, EZVSL, masks.sum(axis=(1, 2)), seed).items():
            found.setdefault(f"floor:{name}", []).append(_of_masks(floor, masks, none, protocol))
        found.setdefault("ceiling", []).append(_frames(masks.astype(np.float32), masks, none, protocol))
    has_truth = np.array(areas) > 0
    joined = {name: _joined(parts) for name, parts in found.items()}
    scores = {name: _scores(frames, keys, has_truth, seed) for name, frames in joined.items()}
    maps = [name for name in scores if not name.startswith("floor:") and name != "ceiling"]
    summary = counted(truth.test_set, keys, run) | {
        "task": "segmentation",
        "protocol": protocol.as_json(),
        "seed": seed,
        "n_empty_truth": int((~has_truth).sum()),
        "n_incomplete_videos": incomplete_videos(keys, truth.test_set.keys),
        "truth_from": truth_from(truth),
        "scores": {name: scores[name] for name in maps},
        "floors": {name.removeprefix("floor:"): scores[name] for name in scores if name.startswith("floor:")},
        "ceiling": scores["ceiling"],
    }
    return Result(_table(truth, keys, areas, {name: joined[name] for name in maps}), summary)


def _frames(probabilities: np.ndarray, masks: np.ndarray, confidence: np.ndarray, protocol: MaskProtocol) -> _Frames:
    own, half = (binarise(probabilities, rule).masks for rule in (protocol, TEXTBOOK))
    curves = f_curves(probabilities, masks, *_weights(protocol))
    return _Frames(mask_iou(own, masks), mask_iou(half, masks), curves, confidence)


def _of_masks(given: np.ndarray, masks: np.ndarray, confidence: np.ndarray, protocol: MaskProtocol) -> _Frames:
    """Of a floor's masks, which stand for the top half as they are: cut again, the whole image would be nothing."""
    iou, curves = mask_iou(given, masks), f_curves(given.astype(np.float32), masks, *_weights(protocol))
    return _Frames(iou, iou, curves, confidence)


def _weights(protocol: MaskProtocol) -> tuple[float, int]:
    return protocol.beta_squared, protocol.f_thresholds


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


def incomplete_videos(keys: Sequence[str], every: Sequence[str]) -> int:
    """How many videos have a map of some of their frames: `keys` are those of `every` frame that have one."""
    frames, scored = Counter(map(video_of_frame, every)), Counter(map(video_of_frame, keys))
    return sum(frames[video] != count for video, count in scored.items())


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
