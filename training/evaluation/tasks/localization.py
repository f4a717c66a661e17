"""Localization: raw maps of named clips + boxes + protocol -> one row per sample, every number a reduction of them.

The one path by which this system's own runs and maps made by any other code are scored. It streams: a batch of clips is
enlarged, thresholded and compared, and only its rows are kept. Clips of the truth that have no map are named in the
result, never dropped without a word; floors and ceiling under the same protocol stand beside every score. What else can
be computed from the rows (negatives, images with several sounds) is added by the modules of `metrics/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.annotations import Annotation
from manifests.errors import InputError
from manifests.pixels import SIZE
from manifests.readers.extended import ExtendedSet, Negative
from manifests.test_sets import Truth
from training.evaluation.alike import drawn_with
from training.evaluation.boxes import read_boxes
from training.evaluation.floors import CENTRED_DISC, RANDOM, WHOLE_IMAGE, ceiling, floor_masks
from training.evaluation.localization import ciou
from training.evaluation.maps import is_constant
from training.evaluation.metrics import Scored, added_blocks
from training.evaluation.needs import require_boxes
from training.evaluation.postprocess import AUDIO_VISUAL, MAPS, OBJECT_PRIOR, Prepared, binarise
from training.evaluation.protocol import MapProtocol
from training.evaluation.raw_maps import RawMaps, match_names, read_single_maps
from training.evaluation.results import (
    ROW_SCHEMA,
    Result,
    breakdown_of,
    columns_of,
    count_flags,
    counted,
    name_negatives,
    scores_of,
)
from training.evaluation.scores import Score
from training.evaluation.truth import box_flags, weight_maps

CEILING = "ceiling"
FLOORS = (CENTRED_DISC, WHOLE_IMAGE, RANDOM, OBJECT_PRIOR)
BATCH = 64
SCORES = (
    Score(
        "ciou50",
        "cIoU@0.5",
        "share of clips whose IoU is at least 0.5: what papers call cIoU, not the mean.",
    ),
    Score("ciou*", "cIoU at * %", "share of clips whose IoU is at least * %, where another cut than 0.5 was chosen."),
    Score("ciou50_last", "cIoU@0.5, last epoch", "the same of the last epoch, where a paper also prints its best."),
    Score("auc", "AUC", 'area under the curve "share of clips with IoU of at least t", for t from 0 to 1 in 0.05.'),
    Score("mean_iou", "mean IoU", "mean of the IoU over clips."),
)
ANSWERS, TAKES = RawMaps, "one map a frame"
ARRAYS, OPTIONAL = ("names", "maps"), ("object_maps", "confidence")


def read(arrays: dict[str, np.ndarray], alpha: float, protocol: MapProtocol) -> RawMaps:
    """The maps of a file, or its boxes under a protocol that asks for these."""
    return read_boxes(arrays) if protocol.asks == "boxes" else read_single_maps(arrays, alpha, protocol)


def check(truth: Truth, protocol: MapProtocol) -> None:
    """InputError for a truth without boxes."""
    require_boxes(truth, protocol)


@dataclass(frozen=True)
class _Facts:
    """What the truth says about a batch of clips: weights (N, 224, 224), the rest lists of N."""

    weights: np.ndarray
    keys: list[str]
    labels: list[str | None]
    boxes: list[int]
    areas: list[float]
    flags: list[list[str]]

    @property
    def support(self) -> np.ndarray:
        return (self.weights != 0).sum(axis=(1, 2))


@dataclass
class _Rows:
    """Columns under construction; one `add` per map name and batch."""

    columns: dict[str, list] = field(default_factory=lambda: {name: [] for name in ROW_SCHEMA.names})
    tie_shares: list[float] = field(default_factory=list)

    def add(self, name: str, facts: _Facts, iou: np.ndarray, confidence: Sequence[float | None], flags: list) -> None:
        columns = {"key": facts.keys, "map": [name] * len(iou), "iou": iou.tolist(), "confidence": confidence}
        columns |= {"area": facts.areas, "boxes": facts.boxes, "label": facts.labels, "flags": flags}
        for column, values in columns.items():
            self.columns[column].extend(values)

    def table(self) -> pa.Table:
        return pa.table(self.columns, schema=ROW_SCHEMA)


def score(
    raw: RawMaps,
    truth: Truth,
    protocol: MapProtocol,
    *,
    seed: int = 0,
    run: str | None = None,
    batch: int = BATCH,
) -> Result:
    """Score raw maps against a test set, and against its negative pairs, whose maps are named `<video>+<audio>`.

    Rows are in the test set's order, negatives last. InputError for a name given twice, no name in common, negative
    pairs without a map of any, or a map with NaN or infinity (naming the clip).
    """
    positions = match_names(raw.names, truth.test_set, truth.extended)
    rows = _Rows()
    found = [annotation for annotation in truth.test_set.annotations if annotation.key in positions]
    for start in range(0, len(found), batch):
        facts = _facts(found[start : start + batch])
        _score_maps(rows, facts, raw.prepare([positions[key] for key in facts.keys], protocol), protocol)
        _score_context(rows, facts, protocol, seed)
    positives, negatives = rows.table(), _negatives(raw, truth.extended, positions, protocol, batch)
    summary = _summary(positives, truth, protocol, seed, run) | {
        "alpha": raw.alpha if raw.object_maps is not None else None,
        "seed": seed,
        "n_maps_of_other_clips": len(raw.names) - len(positions),
        "tie_share": float(np.mean(rows.tie_shares)),
    }
    if truth.extended is not None:
        name_negatives(summary, truth.extended, set(negatives["key"].to_pylist()))
    summary |= added_blocks(Scored(raw, truth, protocol, seed, positives, negatives, tuple(summary["scores"])))
    return Result(pa.concat_tables([positives, negatives]), summary)


def _summary(table: pa.Table, truth: Truth, protocol: MapProtocol, seed: int, run: str | None) -> dict[str, Any]:
    """The JSON document of a table of rows: everything that can be computed from the rows and the truth."""
    by_map = {name: columns_of(table, name) for name in table["map"].unique().to_pylist()}
    of = drawn_with(truth, by_map[AUDIO_VISUAL].keys)  # every map has the same rows
    scores = {name: scores_of(columns, protocol, seed, of) for name, columns in by_map.items()}
    scored = by_map[AUDIO_VISUAL]
    flags = count_flags(scored)
    return counted(truth.test_set, scored.keys, run) | {
        "protocol": protocol.as_json(),
        "n_empty_truth": flags.get("empty_truth", 0),
        "flags": flags,
        "scores": {name: scores[name] for name in MAPS if name in scores},
        "floors": {name: scores[name] for name in FLOORS if name in scores},
        "ceiling": scores[CEILING],
        "breakdown": {name: breakdown_of(by_map[name], protocol) for name in MAPS if name in by_map},
    }


def _facts(annotations: Sequence[Annotation]) -> _Facts:
    weights = weight_maps(annotations)
    areas = weights.sum(axis=(1, 2), dtype=np.float64)
    flags = [
        sorted([*box_flags(annotation), *([] if area else ["empty_truth"])])
        for annotation, area in zip(annotations, areas, strict=True)
    ]
    return _Facts(
        weights,
        [annotation.key for annotation in annotations],
        [annotation.label for annotation in annotations],
        [len(annotation.boxes) for annotation in annotations],
        (areas / SIZE**2).tolist(),
        flags,
    )


def _negative_facts(negatives: Sequence[Negative]) -> _Facts:
    count = len(negatives)
    flags = [["negative", f"negative_{negative.kind}"] for negative in negatives]
    keys = [negative.key for negative in negatives]
    return _Facts(np.zeros((count, 0, 0), np.float32), keys, [None] * count, [0] * count, [0.0] * count, flags)


def _negatives(
    raw: RawMaps, extended: ExtendedSet | None, positions: dict[str, int], protocol: MapProtocol, batch: int
) -> pa.Table:
    """Rows of the negative pairs that have a map: iou 0 and a confidence. InputError when none of them has one."""
    rows = _Rows()
    silent = [negative for negative in (extended.negatives if extended else ()) if negative.key in positions]
    if extended is not None and not silent:
        raise InputError(
            f"None of the {len(raw.names)} maps belongs to a negative pair of {extended.name}, so there is nothing to "
            f"tell the clips from. Add their maps, named <video>+<audio> such as {extended.negatives[0].key}, or leave "
            "--negatives out."
        )
    for start in range(0, len(silent), batch):
        facts = _negative_facts(silent[start : start + batch])
        for name, values in raw.prepare([positions[key] for key in facts.keys], protocol).items():
            rows.add(name, facts, np.zeros(len(facts.keys)), values.confidence.tolist(), facts.flags)
    return rows.table()


def _score_maps(rows: _Rows, facts: _Facts, prepared: dict[str, Prepared], protocol: MapProtocol) -> None:
    for name, values in prepared.items():
        binary = binarise(values.maps, protocol, facts.support)
        flat = is_constant(values.maps)
        flags = [[*known, "constant_map"] if same else known for known, same in zip(facts.flags, flat, strict=True)]
        rows.add(name, facts, ciou(binary.masks, facts.weights), values.confidence.tolist(), flags)
        if name == AUDIO_VISUAL:
            rows.tie_shares.extend(binary.tie_share.tolist())


def _score_context(rows: _Rows, facts: _Facts, protocol: MapProtocol, seed: int) -> None:
    none = [None] * len(facts.keys)
    for name, masks in floor_masks(facts.keys, protocol, facts.support, seed).items():
        rows.add(name, facts, ciou(masks, facts.weights), none, facts.flags)
    rows.add(CEILING, facts, ceiling(facts.weights, protocol), none, facts.flags)
