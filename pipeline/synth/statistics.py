"""A made corpus, measured: what an answer reaches that does not listen, and how much its neighbours have in common.

Shares are between 0 and 1. Floors and ceiling are those of the test clips with boxes, under EZ-VSL's rule (the answer
is the top half of the image) and the adaptive one (it has the truth's area); cIoU of at least 0.5 counts, as in all
tables. The prior is the mean of the training clips' boxes: where things are, whatever is heard.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from manifests.pixels import SIZE, best_ciou, box_votes, disc_map, level_of
from pipeline.synth.truth import Row

QUANTILES = (5, 25, 50, 75, 95)
NEIGHBOURS = (1, 10, 100)
MOST_CLIPS = 4000  # whose neighbours are looked for, the first of the training clips
AT = 0.5
BATCH = 64
Boxes = list[tuple[float, float, float, float]]


@dataclass(frozen=True)
class Impression:
    """Descriptors (`descriptors`) of a clip's image, of its background alone, and of its sound; its surroundings'
    number, None where every clip has its own."""

    image: np.ndarray
    background: np.ndarray
    audio: np.ndarray
    place: int | None = None


def measure(truth: Sequence[list[Row]], impressions: Sequence[Impression]) -> dict[str, Any]:
    """The statistics of a corpus, of the truth rows and the impression of every clip; None for what cannot be said."""
    boxes = [_sounding(rows) for rows in truth]
    splits = [rows[0]["split"] for rows in truth]
    trained = [found for found, split in zip(boxes, splits, strict=True) if found and split == "train"]
    tested = [found for found, split in zip(boxes, splits, strict=True) if found and split == "test"]
    learning = list(islice((n for n, split in enumerate(splits) if split == "train"), MOST_CLIPS))
    labels, videos = (np.array([truth[n][0][name] for n in learning]) for name in ("label", "source_id"))
    return {
        "boxes": of_boxes([*trained, *tested]) if trained or tested else None,
        "ciou50": of_guesses(trained, tested) if trained and tested else None,
        "same class among neighbours": _of_neighbours(labels, videos, [impressions[number] for number in learning]),
        "same class in the same surroundings": _purity(labels, [impressions[number].place for number in learning]),
    }


def _sounding(rows: Sequence[Row]) -> Boxes:
    return [(row["x1"], row["y1"], row["x2"], row["y2"]) for row in rows if row["sounding"] and row["on_screen"]]


def _masks(clips: Iterable[Boxes]) -> Iterator[np.ndarray]:
    """Batches of truth, float32 (n, SIZE, SIZE) of 0 and 1."""
    remaining = iter(clips)
    while batch := list(islice(remaining, BATCH)):
        yield np.stack([np.minimum(box_votes(boxes), 1) for boxes in batch])


def of_boxes(clips: Sequence[Boxes]) -> dict[str, Any]:
    """Area of the union of a clip's boxes, and where the middle of a single box is, as shares of the frame."""
    areas = np.concatenate([masks.mean(axis=(1, 2)) for masks in _masks(clips)])
    middles = np.array([((x1 + x2) / 2, (y1 + y2) / 2) for [(x1, y1, x2, y2), *others] in clips if not others])
    spread = {"mean": middles.mean(axis=0), "deviation": middles.std(axis=0)} if len(middles) else {}
    return {
        "area quantiles": {str(q): _short(np.percentile(areas, q)) for q in QUANTILES},
        "middle": {name: [_short(value) for value in values] for name, values in spread.items()},
    }


def of_guesses(trained: Sequence[Boxes], tested: Sequence[Boxes]) -> dict[str, Any]:
    """The share of test clips that each guess localizes, and the share that the best answer does."""
    prior = np.sum([masks.sum(axis=0, dtype=np.float64) for masks in _masks(trained)], axis=0)
    guesses = {"centred disc": disc_map(), "prior": prior, "whole image": np.zeros((SIZE, SIZE))}
    hits: dict[str, dict[str, list[np.ndarray]]] = {rule: defaultdict(list) for rule in ("top half", "adaptive")}
    for weights in _masks(tested):
        truth, pixels = weights > 0, weights.sum(axis=(1, 2)).astype(int)
        for rule, asked in (("top half", np.full(len(weights), SIZE**2 // 2)), ("adaptive", pixels)):
            for name, guess in guesses.items():
                hits[rule][name].append(_iou(_answers(guess, asked), truth) >= AT)
            hits[rule]["ceiling"].append(best_ciou(weights, asked) >= AT)
    shares = {rule: {n: _short(np.concatenate(v).mean()) for n, v in found.items()} for rule, found in hits.items()}
    return {"clips": len(tested), **shares}


def _answers(guess: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """bool (n, SIZE, SIZE): the `asked` pixels, int (n,), where the guess is highest, and those tied with the last."""
    of_count = {count: guess >= level_of(guess.ravel(), max(1, count)) for count in np.unique(asked).tolist()}
    return np.stack([of_count[count] for count in asked.tolist()])


def _iou(masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Of bool (n, H, W) and bool (n, H, W), float64 (n,); a truth without weights has nothing that counts half."""
    return (masks & truth).sum(axis=(1, 2)) / np.maximum((masks | truth).sum(axis=(1, 2)), 1)


def _of_neighbours(labels: np.ndarray, videos: np.ndarray, impressions: Sequence[Impression]) -> dict[str, Any] | None:
    """By sound, by image, by the background alone: the share of a training clip's nearest that have its class."""
    if len(labels) < 2:
        return None
    kinds = {
        "by sound": np.stack([each.audio for each in impressions]),
        "by image": np.stack([each.image for each in impressions]),
        "by background alone": np.stack([each.background for each in impressions]),
    }
    found: dict[str, Any] = {name: _agreement(labels, videos, vectors) for name, vectors in kinds.items()}
    return {"clips": len(labels), **found, "chance": _chance(labels)}


def _agreement(labels: np.ndarray, videos: np.ndarray, vectors: np.ndarray) -> dict[str, float]:
    """Cosine of standardised vectors; cuts of one video are never neighbours, as in `index build-knn`."""
    standard = (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-6)
    standard /= np.maximum(np.linalg.norm(standard, axis=1, keepdims=True), 1e-6)
    most = min(max(NEIGHBOURS), len(labels) - 1)
    same = np.zeros(most)
    for start in range(0, len(labels), BATCH):
        alike = standard[start : start + BATCH] @ standard.T
        alike[videos[start : start + BATCH, None] == videos] = -np.inf
        nearest = np.argsort(-alike, axis=1, kind="stable")[:, :most]
        same += (labels[nearest] == labels[start : start + BATCH, None]).sum(axis=0)
    shares = np.cumsum(same) / np.arange(1, most + 1) / len(labels)
    return {str(k): _short(shares[k - 1]) for k in NEIGHBOURS if k <= most}


def _chance(labels: np.ndarray) -> float:
    """How often two different clips have one class."""
    counts = np.unique(labels, return_counts=True)[1].astype(float)
    return _short((counts * (counts - 1)).sum() / max(len(labels) * (len(labels) - 1), 1))


def _purity(labels: np.ndarray, places: Sequence[int | None]) -> dict[str, float] | None:
    """How often two different clips of the same surroundings have one class."""
    if None in places or len(labels) < 2:
        return None
    known, (pairs, same) = np.array(places), (0, 0.0)
    for place in np.unique(known):
        here = labels[known == place]
        pairs += len(here) * (len(here) - 1)
        same += _chance(here) * len(here) * (len(here) - 1)
    return {"share": _short(same / max(pairs, 1)), "chance": _chance(labels)}


def _short(value: float | np.floating) -> float:
    return round(float(value), 4)
