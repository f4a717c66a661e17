"""Prompted segmentation (DenseAV): a sound or a spoken word asks for a class, one map an image, label maps as truth.

`maps` of a `maps.npz` are (N, h, w), or similarities (N, heads, h, w, frequencies, times) as DenseAV has them before it
takes heads together; then `heard` (N, times) may say which frames are no silence, and `words` (N, 2) in which seconds
of the `seconds` (N,) of a sound the word is spoken.

Maps are stretched over the whole set of prompts, then enlarged. Released: AP of a class over all pixels of its images
in one list, its best IoU of 20 thresholds chosen on these images (an oracle), and classes that are visible in none of
their images count 0. Textbook: AP of each image. `training.evaluation.prompted` has the arithmetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.annotations import WHOLE
from manifests.class_maps import load_classes
from manifests.commands.counting import have
from manifests.errors import InputError
from manifests.files.images import LONGEST_SIDE
from manifests.pixels import SIZE, disc_map
from manifests.test_sets import PROMPTED, Truth
from training.evaluation.average_precision import average_precision
from training.evaluation.floors import CENTRED_DISC, RANDOM, WHOLE_IMAGE, noise_map
from training.evaluation.given_arrays import in_float32, names_of, numbers
from training.evaluation.needs import refuse_negatives, require_classes
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.prompted import (
    Heads,
    Stretch,
    enlarged,
    map_of_sound,
    map_of_word,
    over_heads,
    prompted_scores,
    word_window,
)
from training.evaluation.protocol import LATER, Protocol
from training.evaluation.raw_maps import RawMaps, match_names, read_single_maps
from training.evaluation.reaches import Reach
from training.evaluation.results import ROW_SCHEMA, Result, counted
from training.evaluation.scores import Score

SCORES = (
    Score("prompted_ap", "mAP", "mean over classes of the average precision over all pixels of a class's images."),
    Score("prompted_iou", "mIoU, best threshold", "mean over classes of the best IoU of 20 thresholds, chosen on the "
          "test images."),
    Score("prompted_ap_textbook", "mAP of images", "mean over images of the average precision of each."),
)  # fmt: skip
ANSWERS, TAKES = RawMaps, "one map a prompt"
ARRAYS, OPTIONAL = ("names", "maps"), ("heard", "words", "seconds")
OF_WORDS = OPTIONAL[1:]
SIMILARITY_AXES = 6


@dataclass(frozen=True)
class PromptProtocol(Protocol):
    """`size`: the side at which maps and classes are compared. `heads`: what becomes of the similarities of several,
    the largest or their sum; `nonnegative`: with 0 in place of what is below it. `stretch`: over the whole set, or each
    map by itself."""

    task: ClassVar[str] = "prompted"
    choices: ClassVar[tuple[str, ...]] = ("size", "heads", "nonnegative", "stretch")
    size: int = SIZE
    heads: Heads = "max"
    nonnegative: bool = False
    stretch: Stretch = field(default="set", metadata=LATER)

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {"size": Reach(1, LONGEST_SIDE)}


def read(arrays: dict[str, np.ndarray], alpha: float, protocol: PromptProtocol) -> RawMaps:
    """The arrays of a file: maps, or what maps are made of. InputError where they do not fit one another."""
    if np.ndim(arrays["maps"]) != SIMILARITY_AXES:
        if given := [name for name in OPTIONAL if name in arrays]:
            raise InputError(
                f"{', '.join(given)} go with similarities (prompts, heads, height, width, frequencies, times); these "
                f"maps have the shape {np.shape(arrays['maps'])}. Leave {', '.join(given)} out, or give similarities."
            )
        return read_single_maps(arrays, alpha, protocol)
    return RawMaps(names_of(arrays), maps_of(arrays, protocol))


def maps_of(arrays: dict[str, np.ndarray], protocol: PromptProtocol) -> np.ndarray:
    """float32 (N, h, w) of similarities (N, heads, h, w, F, T). InputError as `read`."""
    shape = np.shape(arrays["maps"])
    if 0 in shape[1:]:
        raise InputError(f"The similarities have shape {shape}: they are empty. Export them again.")
    count, frames = shape[0], shape[-1]
    heard = numbers({"heard": np.ones((count, frames)), **arrays}, "heard", (count, frames))
    if silent := np.flatnonzero(~heard.any(axis=1)).tolist():
        raise InputError(f"{have(len(silent), 'prompt')} no frame that is heard, first {names_of(arrays)[silent[0]]}.")
    together = over_heads(in_float32(arrays["maps"], "maps", (1, 2, 3, 4, 5)), protocol.heads, protocol.nonnegative)
    if arrays.keys().isdisjoint(OF_WORDS):
        maps = [map_of_sound(*each) for each in zip(together, heard, strict=True)]
    else:
        maps = [map_of_word(*each) for each in zip(together, heard, _windows(arrays, count, frames), strict=True)]
    return np.stack(maps).astype(np.float32)


def _windows(arrays: dict[str, np.ndarray], count: int, frames: int) -> list[slice]:
    """The frames in which each word is spoken. InputError for times that are none of its sound."""
    if not set(OF_WORDS) <= arrays.keys():
        raise InputError(f"The time of a word needs both arrays, {' (prompts, 2) and '.join(OF_WORDS)} (prompts,).")
    words, seconds = numbers(arrays, "words", (count, 2)), numbers(arrays, "seconds", (count,))
    good = (words[:, 0] >= 0) & (words[:, 0] < words[:, 1]) & (words[:, 0] < seconds)
    if not good.all():
        at = int(good.argmin())
        raise InputError(
            f"The word of {names_of(arrays)[at]} is spoken from {words[at, 0]} to {words[at, 1]} s of {seconds[at]} s. "
            "Give start and end in seconds, the start within the sound."
        )
    return [word_window(start, end, total, frames) for (start, end), total in zip(words, seconds, strict=True)]


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
    scored = partial(prompted_scores, labels=labels, classes=asked, stretch=protocol.stretch)
    own = scored(maps)
    floors = {name: _flat(scored(each)) for name, each in _floors(keys, seed).items()}
    floors[WHOLE_IMAGE]["prompted_iou"] = _iou_of_everything(labels, asked)
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
        "ceiling": _flat(scored(best)),
    }
    return Result(_table(truth, keys, maps, labels, asked), summary)


def _iou_of_everything(labels: np.ndarray, asked: Sequence[int]) -> float:
    """The mean over classes of the IoU of all pixels; of a constant map a threshold takes none of them."""
    wanted, classes = labels == np.asarray(asked)[:, None, None], np.asarray(asked)
    return float(np.mean([wanted[classes == each].mean() for each in np.unique(classes)]))


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
