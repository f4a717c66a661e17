"""Several sources in one frame (MUSIC duet and synthetic): which instruments sound, and where, from a map each.

`maps.npz` then holds `maps` (N, K, h, w), one per cluster, `categories` (C,) instrument names, and `correspondence`
(C, K), 1 where a category owns a cluster; without it cluster k is category k. A model with one map per sound makes
such a file by asking each frame with a reference sound of every instrument. Solo frames have one map and are
scored as localization under the protocol "dsol".

Reproduces DSOL 7f40207, `eval.py` (synthetic) and `eval_duet.py` (duet): the maps of a category's clusters are added,
thresholded at a fraction of their maximum and compared with the category's boxes. CIoU of a frame is the mean over its
sounding categories, NSA (no-sounding area) how quiet the maps of silent clusters are; CAP and PIAP, which know no
threshold, stand beside them (`training.evaluation.instruments`). DSOL reports CIoU@0.3; the "IoU@0.5" another paper
lists with the same AUC cannot be that measurement, so both cuts are given by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.annotations import Annotation
from manifests.errors import InputError
from manifests.pixels import SIZE, disc_map
from manifests.test_sets import MusicFrame, MusicSet, Truth
from training.evaluation.alike import drawn_with
from training.evaluation.bootstrap import contributions, mean_intervals
from training.evaluation.floors import CENTRED_DISC, NOTHING, RANDOM, WHOLE_IMAGE, noise_map
from training.evaluation.given_arrays import in_float32, names_of, numbers, texts
from training.evaluation.instruments import AT_30, QUIET, FrameScore, music_summary, score_frame
from training.evaluation.localization import auc, mean_iou, success_rate
from training.evaluation.needs import refuse_negatives, require_boxes, require_instruments
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import match_names
from training.evaluation.reaches import COUNT, SHARE, Reach
from training.evaluation.results import ROW_SCHEMA, Result, counted
from training.evaluation.scores import Score
from training.evaluation.truth import weight_map

OVERLAPS = ("ciou30", "ciou50", "auc", "mean_ciou")
SCORES = (
    Score("ciou30", "cIoU@0.3", "share of clips (of MUSIC: of frames) whose IoU is at least 0.3."),
    Score("mean_ciou", "mean cIoU", "mean over frames of the mean IoU of a frame's sounding instruments."),
    Score("nsa", "NSA as coded", "no-sounding area: how quiet the maps of silent instruments are."),
    Score("nsa_textbook", "NSA textbook", "the same, leaving out every cluster of a sounding instrument."),
    Score("cap_instruments", "CAP", "average precision of a sounding instrument's raw map for its boxes."),
    Score("piap_instruments", "PIAP", "average precision of the sum of the sounding instruments' maps for all boxes."),
)


@dataclass(frozen=True)
class ClusterProtocol(Protocol):
    """How the several maps of a frame are compared; `fraction` and `clusters_checked` as in `score_frame`."""

    task: ClassVar[str] = "several_sources"
    fraction: float = 0.5
    clusters_checked: int | None = None

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {"fraction": SHARE, "clusters_checked": COUNT}

    @property
    def asks(self) -> str:
        return "cluster_maps"

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | {"quiet": QUIET}


@dataclass(frozen=True)
class ClusterMaps:
    """names (N,), maps (N, K, h, w), correspondence 0/1 (C, K), categories (C,)."""

    names: Sequence[str]
    maps: np.ndarray
    correspondence: np.ndarray
    categories: Sequence[str]

    def __post_init__(self) -> None:
        expected = (len(self.categories), self.maps.shape[1] if self.maps.ndim == 4 else -1)
        if self.maps.ndim != 4 or len(self.maps) != len(self.names) or self.correspondence.shape != expected:
            raise InputError(
                f"The maps have shape {self.maps.shape} and the correspondence {self.correspondence.shape} for "
                f"{len(self.names)} names and {len(self.categories)} categories. Give maps (frames, clusters, height, "
                "width) and a correspondence (categories, clusters)."
            )
        if 0 in self.maps.shape[1:]:
            raise InputError(f"The maps have shape {self.maps.shape}: they are empty. Export them again.")
        if not np.isfinite(self.maps).all():
            raise InputError("The cluster maps hold NaN or infinity: their pixels have no ranking. Export them again.")


ANSWERS, TAKES = ClusterMaps, "several maps a frame"
ARRAYS, OPTIONAL = ("names", "maps"), ("categories", "correspondence")


def read(arrays: dict[str, np.ndarray], alpha: float, protocol: ClusterProtocol) -> ClusterMaps:
    """The arrays of a `maps.npz`; InputError for one map a frame, or when `categories` is absent."""
    if np.ndim(arrays["maps"]) != 4:
        raise InputError(
            f"The protocol {protocol.name} takes {TAKES}, (frames, clusters, height, width); these maps have the shape "
            f"{np.shape(arrays['maps'])}."
        )
    if "categories" not in arrays:
        raise InputError("Maps of several clusters a frame need the array categories: the instruments' names.")
    categories = texts(np.atleast_1d(arrays["categories"]), "categories")
    own = {"correspondence": np.eye(len(categories), dtype=np.int64), **arrays}
    correspondence = numbers(own, "correspondence", ("C", "K"))
    return ClusterMaps(names_of(arrays), in_float32(arrays["maps"], "maps"), correspondence, categories)


def check(truth: Truth, protocol: ClusterProtocol) -> None:
    """InputError for a truth that does not name the instrument of every box, or with negatives."""
    require_boxes(truth, protocol)
    require_instruments(truth, protocol)
    refuse_negatives(truth, protocol)


def score(
    found: ClusterMaps, truth: Truth, protocol: ClusterProtocol, *, seed: int = 0, run: str | None = None
) -> Result:
    """Score frames with their instruments' boxes. InputError for no frame in common, or one given twice."""
    positions, music = match_names(found.names, truth.test_set), _instruments(truth)
    frames = [frame for frame in music.scorable if frame.key in positions]
    if not frames:
        raise InputError(f"None of the {len(positions)} maps belongs to a frame with boxes of {music.source}.")
    weights = [_weights(frame, found.categories) for frame in frames]
    maps = [found.maps[positions[frame.key]] for frame in frames]
    scored = [_score(found, protocol, each, own) for each, own in zip(maps, weights, strict=True)]
    return Result(
        _table(frames, scored),
        counted(truth.test_set, [frame.key for frame in frames], run, [frame.key for frame in music.scorable])
        | {
            "task": "several_sources",
            "protocol": protocol.as_json(),
            "seed": seed,
            "scores": {AUDIO_VISUAL: music_summary(scored) | {"interval95": _intervals(scored, truth, frames, seed)}},
            "floors": {
                name: music_summary(
                    [_score(found, protocol, floor, own) for floor, own in zip(each, weights, strict=True)]
                )
                for name, each in _floors(frames, len(maps[0]), seed).items()
            },
            "ceiling": _ceiling(weights),
            "n_empty_truth": sum(not any(own.any() for own in each.values()) for each in weights),
        },
    )


def _instruments(truth: Truth) -> MusicSet:
    assert truth.music is not None, "`check` comes before"
    return truth.music


def _weights(frame: MusicFrame, categories: Sequence[str]) -> dict[int, np.ndarray]:
    """Category row -> weight map of its boxes. InputError for an instrument no map stands for."""
    absent = sorted(set(frame.boxes) - set(categories))
    if absent:
        raise InputError(
            f"The frame {frame.key} shows {absent[0]}, and no map is of it: the maps' categories are "
            f"{', '.join(categories)}. Give a sound of every instrument of the truth with --references, or name it in "
            "the array categories of the maps' file."
        )
    return {list(categories).index(name): weight_map(_as_one(frame, name)) for name in frame.boxes}


def _as_one(frame: MusicFrame, *instruments: str) -> Annotation:
    """The boxes of some instruments of a frame, of all where none is named."""
    boxes = (box for name in instruments or frame.boxes for box in frame.boxes[name])
    return Annotation(frame.key, None, tuple(boxes), shown=frame.shown)


def _score(found: ClusterMaps, protocol: ClusterProtocol, maps: np.ndarray, weights: dict) -> FrameScore:
    return score_frame(maps, found.correspondence, weights, protocol.fraction, protocol.clusters_checked)


def _intervals(
    scored: Sequence[FrameScore], truth: Truth, frames: Sequence[MusicFrame], seed: int
) -> dict[str, list[float]]:
    values = np.array([frame.ciou for frame in scored])
    columns = dict(zip(("ciou50", "auc", "mean_ciou"), contributions(values).T, strict=True))
    of = drawn_with(truth, [frame.key for frame in frames])
    return mean_intervals({"ciou30": values >= AT_30} | columns, seed, of)


def _ceiling(weights: Sequence[dict[int, np.ndarray]]) -> dict[str, float]:
    """What maps that equal the truth would score: an instrument whose boxes cover nothing is lost whatever the map."""
    best = np.array([np.mean([own.any() for own in each.values()]) for each in weights])
    values = success_rate(best, AT_30), success_rate(best), auc(best), mean_iou(best)
    seen = np.mean([any(own.any() for own in each.values()) for each in weights])
    found = dict(zip(OVERLAPS, values, strict=True))
    return found | {"cap_instruments": found["mean_ciou"], "piap_instruments": float(seen)}


def _floors(frames: Sequence[MusicFrame], clusters: int, seed: int) -> dict[str, list[np.ndarray]]:
    """Maps (K, h, w) of each frame by floor: the same for every cluster, but for noise."""
    disc, whole = (np.stack([one] * clusters) for one in (_disc(), np.ones((SIZE, SIZE), np.float32)))
    noise = [np.stack([noise_map(f"{frame.key}/{cluster}", seed) for cluster in range(clusters)]) for frame in frames]
    same = {CENTRED_DISC: disc, WHOLE_IMAGE: whole, NOTHING: np.zeros_like(whole)}
    return {name: [one] * len(frames) for name, one in same.items()} | {RANDOM: noise}


def _disc() -> np.ndarray:
    """A disc of half the image that survives any fraction of its maximum."""
    disc = disc_map()
    return (disc >= np.partition(disc.ravel(), SIZE**2 // 2)[SIZE**2 // 2]).astype(np.float32)


def _table(frames: Sequence[MusicFrame], scored: Sequence[FrameScore]) -> pa.Table:
    every = [_as_one(frame) for frame in frames]
    areas = [float(weight_map(one).sum()) / SIZE**2 for one in every]
    columns: dict[str, Any] = {
        "key": [frame.key for frame in frames], "map": [AUDIO_VISUAL] * len(frames),
        "iou": [each.ciou for each in scored], "confidence": [None] * len(frames), "area": areas,
        "boxes": [len(one.boxes) for one in every], "label": [" ".join(frame.boxes) for frame in frames],
        "flags": [[] if area else ["empty_truth"] for area in areas],
    }  # fmt: skip
    return pa.table(columns, schema=ROW_SCHEMA)
