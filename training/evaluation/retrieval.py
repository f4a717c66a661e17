"""Cross-modal retrieval: R@K from image to sound and back, with the pair similarity named and ties not forgiven.

No released code computes the table of the Cross-Modal Alignment paper, and its text does not name the similarity of a
pair, so results carry `similarity`. A rank counts the strictly larger scores plus half of
the tied wrong ones: a constant matrix then scores as chance does, not R@1 = 1.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

KS = (1, 5, 10)
Ties = Literal["optimistic", "middle", "pessimistic"]
_TIE_WEIGHT = {"optimistic": 0.0, "middle": 0.5, "pessimistic": 1.0}


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


def ranks(similarity: np.ndarray, relevant: np.ndarray, ties: Ties = "middle") -> np.ndarray:
    """float64 (N,): rank (1 is first) of the best relevant item of each row of `similarity` (N, M).

    relevant: bool (N, M), at least one True per row.
    """
    if not relevant.any(axis=1).all():
        raise ValueError("a query without any relevant item has no rank")
    best = np.where(relevant, similarity, -np.inf).max(axis=1, keepdims=True)
    larger = (similarity > best).sum(axis=1)
    tied_wrong = ((similarity == best) & ~relevant).sum(axis=1)
    return 1 + larger + _TIE_WEIGHT[ties] * tied_wrong


def recalls(rank: np.ndarray) -> dict[str, float]:
    """R@1, R@5 and R@10: the share of queries whose rank is at most K."""
    return {f"R@{k}": float((rank <= k).mean()) for k in KS}


def retrieval_summary(
    similarity: np.ndarray, similarity_name: str, classes: np.ndarray | None = None, ties: Ties = "middle"
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
            "image_to_audio": recalls(ranks(similarity, relevant, ties)),
            "audio_to_image": recalls(ranks(similarity.T, relevant.T, ties)),
        }
    return result


def _positions(image: np.ndarray) -> np.ndarray:
    """(N, C, h, w) -> unit vectors (N, h * w, C)."""
    return unit(image.reshape(*image.shape[:2], -1).transpose(0, 2, 1))
