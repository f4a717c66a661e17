"""IS3, VPO and other pixel masks at the truth's own area, or the top half: mIoU and F as SSLalignment released them.

The quirks are named in `training.evaluation.adaptive_masks`; textbook values stand beside, and F of predicting
everything, which the released F never falls below. A batch of a single frame without truth, where the released code
stops, is given one pixel. The release scores masks as it scores boxes in the same run: cIoU, of which a frame without
truth has 0 whatever it is given, and where one image stands under several sounds the smallest of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.test_sets import INTERACTIVE, Truth
from training.evaluation.adaptive_masks import BATCH, EmptyMask, adaptive_masks, asked_areas, mask_scores
from training.evaluation.floors import floor_masks_and_nothing
from training.evaluation.localization import auc, ciou, success_rate
from training.evaluation.metrics.interactive import SCORES as OF_GROUPS
from training.evaluation.metrics.interactive import interactive_summary
from training.evaluation.needs import refuse_negatives, require_boxes
from training.evaluation.postprocess import AUDIO_VISUAL, binarise
from training.evaluation.protocol import LATER, MapProtocol
from training.evaluation.raw_maps import RawMaps, match_names, read_single_maps
from training.evaluation.reaches import COUNT, Reach
from training.evaluation.results import ROW_SCHEMA, Result, counted
from training.evaluation.scores import Score
from training.evaluation.segmentation import mask_iou
from training.evaluation.true_masks import true_masks, truth_from

SCORES = (
    Score("mask_miou", "mIoU of masks", "mean over batches of the IoU with the pixel mask, as released."),
    Score("mask_miou_textbook", "mIoU of masks, textbook", "the same as a mean over frames."),
    Score("mask_f", "F of masks as released", "F-score, beta squared 0.3; never below that of predicting everything."),
    Score("mask_f_textbook", "F of masks", "F-score of the masks themselves."),
    Score("mask_f_everything", "F of everything", "F-score of predicting the whole image, below which F as released "
          "never falls."),
    Score("mask_ciou50", "cIoU@0.5 of masks", "share of frames whose cIoU with the pixel mask is at least 0.5."),
    Score("mask_auc", "AUC of masks", "area under the share of frames whose cIoU with the pixel mask reaches t."),
)  # fmt: skip
ANSWERS, TAKES = RawMaps, "one map a frame"
ARRAYS, OPTIONAL = ("names", "maps"), ("object_maps", "confidence")
read = read_single_maps


@dataclass(frozen=True)
class AreaProtocol(MapProtocol):
    """As `MapProtocol`; `frames_per_batch` is what means are taken over first, and the area given to empty frames.

    empty_mask: what a frame without truth is given under the adaptive rule, half of its batch's frames or half of its
        pixels.
    """

    task: ClassVar[str] = "adaptive_masks"
    choices: ClassVar[tuple[str, ...]] = (
        "interpolation",
        "align_corners",
        "scaling",
        "frames_per_batch",
        "empty_mask",
    )
    frames_per_batch: int = BATCH
    empty_mask: EmptyMask = field(default="half_of_batch", metadata=LATER)

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {**super().reaches, "frames_per_batch": COUNT}

    @property
    def idle(self) -> frozenset[str]:
        return super().idle | (frozenset() if self.rule == "adaptive" else {"empty_mask"})


def check(truth: Truth, protocol: AreaProtocol) -> None:
    """Masks, or boxes whose union stands in for them. InputError for neither, or for silent pairs."""
    require_boxes(truth, protocol, or_masks=True)
    refuse_negatives(truth, protocol)


def score(raw: RawMaps, truth: Truth, protocol: AreaProtocol, *, seed: int = 0, run: str | None = None) -> Result:
    """Score maps against pixel masks, batch by batch in the set's order. InputError as `RawMaps.prepare`."""
    positions = match_names(raw.names, truth.test_set)
    keys = [key for key in truth.test_set.keys if key in positions]
    size, found = protocol.frames_per_batch, dict[str, list[tuple[np.ndarray, np.ndarray]]]()
    for start in range(0, len(keys), size):
        chunk = keys[start : start + size]
        masks = true_masks(truth, chunk)
        for name, values in raw.prepare([positions[key] for key in chunk], protocol).items():
            found.setdefault(name, []).append((cut(values.maps, masks, protocol), masks))
        for name, floor in floor_masks_and_nothing(chunk, protocol, masks.sum(axis=(1, 2)), seed).items():
            found.setdefault(f"floor:{name}", []).append((floor, masks))
        found.setdefault("ceiling", []).append((_best(masks, protocol), masks))
    every = truth.test_set.keys if INTERACTIVE in truth.tasks else ()
    scores = {name: _scores(parts, size) | _as_boxes(parts, keys, every) for name, parts in found.items()}
    maps = {name: parts for name, parts in found.items() if name != "ceiling" and not name.startswith("floor:")}
    areas = np.concatenate([masks.mean(axis=(1, 2)) for _, masks in found["ceiling"]])
    summary = counted(truth.test_set, keys, run) | {
        "task": "adaptive_masks",
        "protocol": protocol.as_json(),
        "seed": seed,
        "truth_from": truth_from(truth),
        "n_empty_truth": int((areas == 0).sum()),
        **_of_groups(keys, areas, every),
        "scores": {name: scores[name] for name in maps},
        "floors": {name.removeprefix("floor:"): scores[name] for name in scores if name.startswith("floor:")},
        "ceiling": scores["ceiling"],
    }
    return Result(_table(truth, keys, areas, maps), summary)


def cut(high: np.ndarray, truth: np.ndarray, protocol: AreaProtocol) -> np.ndarray:
    """bool (F, H, W): enlarged maps at the protocol's area; empty frames as the released loop cuts them."""
    if protocol.rule != "adaptive":
        return binarise(high, protocol, truth.sum(axis=(1, 2))).masks
    if protocol.exact:
        areas = asked_areas(truth, protocol.frames_per_batch, 1, protocol.empty_mask)
        return binarise(high, protocol, areas).masks
    return adaptive_masks(high, truth, protocol.frames_per_batch, 1, protocol.empty_mask)


def _best(truth: np.ndarray, protocol: AreaProtocol) -> np.ndarray:
    """The masks of maps that rank the pixels of the truth first, row by row."""
    height, width = truth.shape[1:]
    order = np.arange(height * width, 0, -1, dtype=np.float32).reshape(height, width)
    return cut(truth * np.float32(height * width) + order, truth, protocol)


def _scores(parts: Sequence[tuple[np.ndarray, np.ndarray]], batch: int) -> dict[str, float]:
    masks, truth = (np.concatenate(each) for each in zip(*parts, strict=True))
    return {f"mask_{name}": value for name, value in mask_scores(masks, truth, batch).items()}


def _of_groups(keys: Sequence[str], areas: np.ndarray, every: Sequence[str]) -> dict[str, int]:
    """How many images have one sound only, and how many are left out, since not every sound has a map."""
    together = interactive_summary(keys, areas, every) if every else {}
    return {"n_alone": together.get("n_single", 0), "n_incomplete": together.get("n_incomplete", 0)}


def _as_boxes(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], keys: Sequence[str], every: Sequence[str]
) -> dict[str, float | None]:
    """What the evaluator of boxes says of masks of frames `keys`; `every` frame of the truth, where the sounds of an
    image are judged together."""
    iou = np.concatenate([ciou(masks, truth.astype(np.float32)) for masks, truth in parts])
    together = interactive_summary(keys, iou, every) if every else {}
    found = {"mask_ciou50": success_rate(iou), "mask_auc": auc(iou)}
    return found | {score.key: together[score.key] for score in OF_GROUPS if score.key in together}


def _table(
    truth: Truth, keys: Sequence[str], areas: np.ndarray, maps: dict[str, list[tuple[np.ndarray, np.ndarray]]]
) -> pa.Table:
    labels = truth.test_set.labels
    boxes = {annotation.key: len(annotation.boxes) for annotation in truth.test_set.annotations}
    tables = []
    for name in sorted(maps, key=lambda each: each != AUDIO_VISUAL):
        columns: dict[str, Any] = {
            "key": list(keys), "map": [name] * len(keys),
            "iou": np.concatenate([mask_iou(*part) for part in maps[name]]), "confidence": [None] * len(keys),
            "area": areas, "boxes": [boxes[key] for key in keys], "label": [labels[key] for key in keys],
            "flags": [[] if area else ["empty_truth"] for area in areas],
        }  # fmt: skip
        tables.append(pa.table(columns, schema=ROW_SCHEMA))
    return pa.concat_tables(tables)
