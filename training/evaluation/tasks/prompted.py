"""Prompted segmentation (DenseAV): a sound or a spoken word asks for a class, one map an image, label maps as truth.

Maps are stretched over the whole set of prompts, then enlarged. Released: AP of a class over all pixels of its images
in one list, its best IoU of 20 thresholds chosen on these images (an oracle), and classes that are visible in none of
their images count 0. Textbook: AP of each image. `training.evaluation.prompted` has the arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.annotations import WHOLE
from manifests.class_maps import load_classes
from manifests.pixels import disc_map
from manifests.test_sets import PROMPTED
from manifests.truth import Truth
from training.evaluation.average_precision import average_precision
from training.evaluation.floors import CENTRED_DISC, RANDOM, WHOLE_IMAGE, noise_map
from training.evaluation.needs import refuse_negatives, require_classes
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.prompted import enlarged, prompted_scores
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import RawMaps, match_names, read_single_maps
from training.evaluation.results import ROW_SCHEMA, Result, counted
from training.evaluation.scores import Score
from training.evaluation.truth import SIZE

SCORES = (
    Score("prompted_ap", "mAP", "mean over classes of the average precision over all pixels of a class's images."),
    Score("prompted_iou", "mIoU, best threshold", "mean over classes of the best IoU of 20 thresholds, chosen on the "
          "test images."),
    Score("prompted_ap_textbook", "mAP of images", "mean over images of the average precision of each."),
)  # fmt: skip
ANSWERS, TAKES = RawMaps, "one map a prompt"
ARRAYS, OPTIONAL = ("names", "maps"), ()
read = read_single_maps


@dataclass(frozen=True)
class PromptProtocol(Protocol):
    """`size`: the side at which maps and classes are compared."""

    task: ClassVar[str] = "prompted"
    size: int = SIZE


def check(truth: Truth, protocol: PromptProtocol) -> None:
    """InputError for a truth without prompts, or with silent pairs."""
    require_classes(truth, protocol, PROMPTED)
    refuse_negatives(truth, protocol)


def score(raw: RawMaps, truth: Truth, protocol: PromptProtocol, *, seed: int = 0, run: str | None = None) -> Result:
    """Score the maps of prompts, named as the set names them. InputError for no name in common, or NaN in a map."""
    assert truth.classes is not None, "`check` comes before"
    positions, classes = match_names(raw.names, truth.test_set), truth.classes
    keys = [key for key in truth.test_set.keys if key in positions]
    size, asked = (protocol.size, protocol.size), [classes.prompts[key] for key in keys]
    labels = np.stack(
        [load_classes(classes.files[key], classes.coding, size, classes.shown.get(key, WHOLE)) for key in keys]
    )
    visible = (labels == np.asarray(asked)[:, None, None]).any(axis=(1, 2))
    maps = raw.finite(raw.maps, [positions[key] for key in keys])
    own = prompted_scores(maps, labels, asked)
    floors = {name: _flat(prompted_scores(each, labels, asked)) for name, each in _floors(keys, seed).items()}
    best = (labels == np.asarray(asked)[:, None, None]).astype(np.float32)
    summary = counted(truth.test_set, keys, run) | {
        "task": "prompted",
        "protocol": protocol.as_json(),
        "seed": seed,
        "n_classes": len(set(asked)),
        "n_empty_truth": int((~visible).sum()),
        "classes_never_visible": sorted(set(asked) - {c for c, seen in zip(asked, visible, strict=True) if seen}),
        "by_class": {name: own[f"{name}_by_class"] for name in ("ap", "iou")},
        "scores": {AUDIO_VISUAL: _flat(own)},
        "floors": floors,
        "ceiling": _flat(prompted_scores(best, labels, asked)),
    }
    return Result(_table(truth, keys, maps, labels, asked), summary)


def _flat(found: dict[str, dict[str, float]]) -> dict[str, float]:
    return found["released"] | {f"{name}_textbook": value for name, value in found["textbook"].items()}


def _floors(keys: Sequence[str], seed: int) -> dict[str, np.ndarray]:
    """Maps that know neither image nor sound."""
    return {
        CENTRED_DISC: np.stack([disc_map()] * len(keys)),
        WHOLE_IMAGE: np.zeros((len(keys), 1, 1), np.float32),
        RANDOM: np.stack([noise_map(key, seed) for key in keys]),
    }


def _table(truth: Truth, keys: Sequence[str], maps: np.ndarray, labels: np.ndarray, asked: Sequence[int]) -> pa.Table:
    """A row per prompt; its `iou` is the average precision of its image, as no threshold is of one image."""
    high = enlarged(maps, labels.shape[-1])
    wanted = labels == np.asarray(asked)[:, None, None]
    columns: dict[str, Any] = {
        "key": list(keys), "map": [AUDIO_VISUAL] * len(keys),
        "iou": [average_precision(one.ravel(), own.ravel()) for one, own in zip(wanted, high, strict=True)],
        "confidence": [None] * len(keys), "area": wanted.mean(axis=(1, 2)), "boxes": [0] * len(keys),
        "label": [truth.test_set.labels[key] for key in keys],
        "flags": [[] if one.any() else ["empty_truth"] for one in wanted],
    }  # fmt: skip
    return pa.table(columns, schema=ROW_SCHEMA)
