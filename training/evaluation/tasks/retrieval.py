"""Cross-modal retrieval: R@K from image to sound and back, with the pair similarity named and ties not forgiven.

No released code computes the table of the Cross-Modal Alignment paper, and its text does not name the similarity of a
pair, so results carry `similarity`, and two similarities never share a column. Where scores tie, a query counts by the
expected recall: the probability that something right is among the first K when what ties stands in a random order. With
`a` scores strictly larger than the best right one and `t` equal to it, `r` of them right, that is
1 - C(t - r, s) / C(t, s) for s = min(t, max(0, K - a)), and s / t for one right item: a constant matrix scores as
chance does, not R@1 = 1. The ranks in the rows are expected ones as well, 1 + a + (t - r) / (r + 1).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa

from manifests.errors import InputError
from manifests.test_sets import Truth
from training.evaluation.alike import drawn_with
from training.evaluation.bootstrap import mean_intervals
from training.evaluation.given_arrays import names_of, numbers
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import match_names
from training.evaluation.results import Result, counted, require_finite_rows
from training.evaluation.scores import Score

KS = (1, 5, 10)
Ties = Literal["optimistic", "expected", "pessimistic"]
TIES: Ties = "expected"
SCORES = tuple(
    Score(
        f"R@{k}",
        f"R@{k}",
        f"share of queries with their own counterpart among the {k} nearest; in rows called class, "
        "with any clip of their class.",
    )
    for k in KS
)


@dataclass(frozen=True)
class RetrievalProtocol(Protocol):
    """`source` names the similarity of a pair; `over_positions` is the one only a model itself can compute."""

    task: ClassVar[str] = "retrieval"
    over_positions: bool = False

    @property
    def asks(self) -> str:
        return "similarity_over_positions" if self.over_positions else "similarity"

    @property
    def from_files(self) -> bool:
        return not self.over_positions

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "similarity": self.source, "ties": TIES}


@dataclass(frozen=True)
class Similarity:
    """`values` (N, N), row = image and column = sound of `names` (N,)."""

    names: Sequence[str]
    values: np.ndarray


USES_NEGATIVES = False
ANSWERS, TAKES = Similarity, "embeddings of image and sound"
EMBEDDINGS = ("image_embeddings", "audio_embeddings")
ARRAYS, OPTIONAL = ("names", *EMBEDDINGS), ()


def read(arrays: dict[str, np.ndarray], alpha: float, protocol: RetrievalProtocol) -> Similarity:
    """Cosines of `image_embeddings` (N, D) and `audio_embeddings` (N, D) of `names` (N,), of any scale.

    InputError for anything but numbers, shapes that differ, or a vector of zeros.
    """
    names = names_of(arrays)
    sides = [numbers(arrays, name, ("N", "D")) for name in EMBEDDINGS]
    if sides[0].shape != sides[1].shape or len(sides[0]) != len(names):
        raise InputError(
            f"The embeddings have shapes {sides[0].shape} and {sides[1].shape} for {len(names)} names. Give one row of "
            "equal length per name on both sides."
        )
    for name, side in zip(EMBEDDINGS, sides, strict=True):
        _refuse_zeros(side, name, names)
    image, audio = (unit(_of_middling_size(side)) for side in sides)
    return Similarity(names, image @ audio.T)


def _refuse_zeros(vectors: np.ndarray, array: str, names: Sequence[str]) -> None:
    """InputError for a vector without a direction, whose cosine with every other would be 0."""
    zero = ~vectors.any(axis=1)
    if zero.any():
        raise InputError(
            f"In {array} {int(zero.sum())} of {len(vectors)} embeddings are 0 throughout, first that of "
            f"{names[int(zero.argmax())]}: they are like nothing, and would tie with all. Leave these clips out, or "
            "find out why the model produced them."
        )


def _of_middling_size(vectors: np.ndarray) -> np.ndarray:
    """float32 vectors (N, D), each times the power of two that brings its largest number near 1.

    No digit changes by it, and squares of large or tiny numbers stay within float32.
    """
    given = vectors.astype(np.float64)
    _, exponents = np.frexp(np.abs(given).max(axis=1, initial=0, keepdims=True))
    return np.ldexp(given, -exponents).astype(np.float32)


def check(truth: Truth, protocol: RetrievalProtocol) -> None:
    """Any set of clips will do."""


def score(
    found: Similarity, truth: Truth, protocol: RetrievalProtocol, *, seed: int = 0, run: str | None = None
) -> Result:
    """R@1, 5 and 10 by instance and, where every clip has a class, by class.

    InputError for a name given twice, none of the set, or similarities with NaN or infinity, naming the image.
    """
    positions = match_names(found.names, truth.test_set)
    keys = [key for key in truth.test_set.keys if key in positions]
    rows = [positions[key] for key in keys]
    similarity = found.values[np.ix_(rows, rows)]
    require_finite_rows(similarity, keys)
    labels = [truth.test_set.labels[key] for key in keys]
    own = np.eye(len(keys), dtype=bool)
    directions = {"image_to_audio": similarity, "audio_to_image": similarity.T}
    found_at = {way: ranks(table, own) for way, table in directions.items()}
    instance = {way: hits(table, own) for way, table in directions.items()}
    summary = counted(truth.test_set, keys, run) | {
        "task": "retrieval",
        "protocol": protocol.as_json() | {"gallery": len(keys)},
        "scores": _scores(similarity, instance, protocol, labels, drawn_with(truth, keys)),
        "floors": _floors(labels),
        "ceiling": {f"R@{k}": 1.0 for k in KS},
    }
    return Result(pa.table({"key": keys, "label": labels} | found_at), summary)


def _scores(
    similarity: np.ndarray,
    instance: dict[str, dict[str, np.ndarray]],
    protocol: RetrievalProtocol,
    labels: list[str | None],
    of: Sequence[str] | None,
) -> dict[str, Any]:
    """Recalls by direction, with the intervals of their `instance` hits, and by class."""
    classes = np.array(labels) if None not in labels else None
    found = retrieval_summary(similarity, protocol.source, classes)
    scores = {way: recalls | {"interval95": mean_intervals(instance[way], of=of)}
              for way, recalls in found["instance"].items()}  # fmt: skip
    return scores | {f"{way}_class": recalls for way, recalls in found.get("class", {}).items()}


def _floors(labels: list[str | None]) -> dict[str, dict[str, float]]:
    """What an order by chance reaches by instance and, where every clip has a class, by class."""
    floors = {"chance": {f"R@{k}": min(1.0, k / len(labels)) for k in KS}}
    return floors if None in labels else floors | {"chance_class": chance_of_class(labels)}


def chance_of_class(labels: Sequence[str | None]) -> dict[str, float]:
    """R@1, R@5 and R@10 by class of an order by chance: at R@1 the mean share of candidates of the query's class."""
    total, of_class = len(labels), Counter(labels)

    def missed(own: int, k: int) -> float:
        """That none of the first k of all candidates is among the `own` of the class."""
        return math.prod(max(total - own - drawn, 0) / (total - drawn) for drawn in range(min(k, total)))

    return {f"R@{k}": 1 - sum(own * missed(own, k) for own in of_class.values()) / total for k in KS}


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., C) scaled to length one; zero vectors stay zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, np.finfo(np.float32).tiny)


def max_over_positions(image: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """(N, M): the largest cosine over positions, as EZ-VSL trains and SSL-TIE `forward(mode="val")` pools.

    image (N, C, h, w), audio (M, C) -> similarity of every image with every sound.
    """
    return np.stack([(position @ unit(audio).T).max(axis=0) for position in _positions(image)])


def mean_over_positions(image: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """(N, M): the mean cosine over positions, s_L of Cross-Modal Alignment (Eq. 3, M = 1)."""
    return _positions(image).mean(axis=1) @ unit(audio).T


def pooled_cosine(image: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """(N, M): cosine of the average-pooled image features, s_A of Cross-Modal Alignment (Eq. 4)."""
    return unit(image.mean(axis=(2, 3))) @ unit(audio).T


def pooled_unit_cosine(image: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """(N, M): as `pooled_cosine`, each position scaled to length one before pooling (EZ-VSL's normalised map)."""
    return unit(_positions(image).mean(axis=1)) @ unit(audio).T


SIMILARITIES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "max_over_positions": max_over_positions,
    "mean_over_positions": mean_over_positions,
    "pooled_cosine": pooled_cosine,
    "pooled_unit_cosine": pooled_unit_cosine,
}


@dataclass(frozen=True)
class _Places:
    """Where the best relevant item of each query lies, int (N,) each: how many items score more, how many as much as it
    in all, and how many of these are relevant."""

    larger: np.ndarray
    tied: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, similarity: np.ndarray, relevant: np.ndarray) -> Self:
        if not relevant.any(axis=1).all():
            raise ValueError("a query without any relevant item has no rank")
        best = np.where(relevant, similarity, -np.inf).max(axis=1, keepdims=True)
        tied = similarity == best
        return cls((similarity > best).sum(axis=1), tied.sum(axis=1), (tied & relevant).sum(axis=1))


def ranks(similarity: np.ndarray, relevant: np.ndarray, ties: Ties = TIES) -> np.ndarray:
    """float64 (N,): rank (1 is first) of the best relevant item of each row of `similarity` (N, M).

    relevant: bool (N, M), at least one True per row.
    """
    found = _Places.of(similarity, relevant)
    wrong = found.tied - found.right
    ahead = {"optimistic": 0, "expected": wrong / (found.right + 1), "pessimistic": wrong}
    return 1.0 + found.larger + ahead[ties]


def hits(similarity: np.ndarray, relevant: np.ndarray, ties: Ties = TIES) -> dict[str, np.ndarray]:
    """By R@K, float64 (N,): whether a relevant item is among the K first of each row; how probably, where it ties."""
    if ties != "expected":
        rank = ranks(similarity, relevant, ties)
        return {f"R@{k}": (rank <= k).astype(np.float64) for k in KS}
    found = _Places.of(similarity, relevant)
    return {f"R@{k}": 1 - _all_wrong(found, np.clip(k - found.larger, 0, found.tied)) for k in KS}


def _all_wrong(found: _Places, places: np.ndarray) -> np.ndarray:
    """float64 (N,): how probably the first `places` (N,) of the tied items, in a random order, are all wrong."""
    missed = np.ones(len(places))
    for before in range(int(places.max(initial=0))):
        left = np.maximum(found.tied - found.right - before, 0) / np.maximum(found.tied - before, 1)
        missed *= np.where(before < places, left, 1.0)
    return missed


def recalls(similarity: np.ndarray, relevant: np.ndarray, ties: Ties = TIES) -> dict[str, float]:
    """R@1, R@5 and R@10: the means of `hits` over queries."""
    return {name: float(found.mean()) for name, found in hits(similarity, relevant, ties).items()}


def retrieval_summary(
    similarity: np.ndarray, similarity_name: str, classes: np.ndarray | None = None, ties: Ties = TIES
) -> dict[str, Any]:
    """Recalls both ways for `similarity` (N, N), row = image, column = sound, item i belonging to item i.

    "instance": the one right item; with `classes` (N,) also "class": any item of the same class counts.
    ValueError for NaN, which has no rank.
    """
    if np.isnan(similarity).any():
        raise ValueError("the similarity matrix holds NaN")
    levels = {"instance": np.eye(len(similarity), dtype=bool)}
    if classes is not None:
        levels["class"] = classes[:, None] == classes[None, :]
    result: dict[str, Any] = {"similarity": similarity_name, "ties": ties, "gallery": len(similarity)}
    for level, relevant in levels.items():
        result[level] = {
            "image_to_audio": recalls(similarity, relevant, ties),
            "audio_to_image": recalls(similarity.T, relevant.T, ties),
        }
    return result


def _positions(image: np.ndarray) -> np.ndarray:
    """(N, C, h, w) -> unit vectors (N, h * w, C)."""
    return unit(image.reshape(*image.shape[:2], -1).transpose(0, 2, 1))
