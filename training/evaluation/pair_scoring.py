"""Results that need embeddings rather than maps: retrieval both ways, and whether a sound belongs to the image.

They are written like every other result: what was expected and scored, chance as the floor, the similarity or the
threshold named in the protocol, so that two similarities never share a column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.annotations import TestSet
from manifests.errors import InputError
from training.evaluation.bootstrap import mean_intervals
from training.evaluation.onscreen import ACTIVATION_THRESHOLD, distance_threshold, right_answers
from training.evaluation.raw_maps import match_names
from training.evaluation.results import Result
from training.evaluation.retrieval import KS, ranks, retrieval_summary, unit

RETRIEVAL, RETRIEVAL_MAX, ONSCREEN = "retrieval", "retrieval_max", "onscreen"
SIMILARITIES = {
    RETRIEVAL: "cosine of the method's image and audio embeddings",
    RETRIEVAL_MAX: "largest cosine over positions, max_over_positions",
}
EMBEDDINGS = ("image_embeddings", "audio_embeddings")
TIES = "middle"


@dataclass(frozen=True)
class Pairs:
    """Image-sound pairs of an on-screen test: distance of the embeddings and largest rectified cosine, both (N,)."""

    names: Sequence[str]
    distance: np.ndarray
    activation: np.ndarray


def score_retrieval(
    similarity: np.ndarray, keys: Sequence[str], test_set: TestSet, protocol: str, run: str | None = None
) -> Result:
    """`similarity` (N, N), row = image and column = sound of `keys`: R@1, 5, 10 by instance and by class.

    InputError naming the image whose similarities hold NaN or infinity.
    """
    _require_finite(similarity, keys)
    labels = [test_set.labels[key] for key in keys]
    classes = np.array(labels) if None not in labels else None
    found = retrieval_summary(similarity, SIMILARITIES[protocol], classes, TIES)
    scores = dict(found["instance"])
    if classes is not None:
        scores |= {f"{direction}_class": values for direction, values in found["class"].items()}
    own = np.eye(len(keys), dtype=bool)
    found_at = {"image_to_audio": ranks(similarity, own, TIES), "audio_to_image": ranks(similarity.T, own, TIES)}
    for direction, rank in found_at.items():
        scores[direction] |= {"interval95": mean_intervals({f"R@{k}": rank <= k for k in KS})}
    columns = {"key": list(keys), "label": labels}
    summary = _summary(test_set, keys, run) | {
        "task": "retrieval",
        "protocol": {"name": protocol, "similarity": SIMILARITIES[protocol], "ties": TIES, "gallery": len(keys)},
        "scores": scores,
        "floors": {"chance": {f"R@{k}": min(1.0, k / len(keys)) for k in KS}},
        "ceiling": {f"R@{k}": 1.0 for k in KS},
    }
    return Result(pa.table(columns | found_at), summary)


def score_embeddings(arrays: Mapping[str, np.ndarray], test_set: TestSet) -> Result:
    """Retrieval of `names` (N,) by cosine of `image_embeddings` (N, D) and `audio_embeddings` (N, D), any scale.

    InputError for shapes that differ, a name given twice or none of the set, or an embedding that is not finite.
    """
    names, sides = [str(name) for name in arrays["names"]], [arrays[name] for name in EMBEDDINGS]
    if sides[0].ndim != 2 or sides[0].shape != sides[1].shape or len(sides[0]) != len(names):
        raise InputError(
            f"The embeddings have shapes {sides[0].shape} and {sides[1].shape} for {len(names)} names. Give one row of "
            "equal length per name on both sides."
        )
    positions = match_names(names, test_set)
    keys = [key for key in test_set.keys if key in positions]
    rows = [positions[key] for key in keys]
    image, audio = (unit(np.asarray(side[rows], np.float32)) for side in sides)
    return score_retrieval(image @ audio.T, keys, test_set, RETRIEVAL)


def score_onscreen(matching: Pairs, mismatched: Pairs, test_set: TestSet, run: str | None = None) -> Result:
    """Accuracy of the three rules on pairs that belong together and pairs that do not.

    InputError without a mismatched pair, or naming the pair whose distance or activation is NaN or infinite.
    """
    if not len(mismatched.names):
        raise InputError(f"No mismatched pair of {test_set.name} could be scored, so nothing is off screen.")
    for pairs in (matching, mismatched):
        _require_finite(np.stack([pairs.distance, pairs.activation], axis=1), pairs.names)
    threshold = distance_threshold(matching.distance, mismatched.distance)
    right = right_answers(
        (matching.distance, mismatched.distance), (matching.activation, mismatched.activation), threshold
    )
    share = len(matching.names) / (len(matching.names) + len(mismatched.names))
    columns = {
        "key": [*matching.names, *mismatched.names],
        "matching": [True] * len(matching.names) + [False] * len(mismatched.names),
        "distance": np.concatenate([matching.distance, mismatched.distance]),
        "activation": np.concatenate([matching.activation, mismatched.activation]),
    }
    summary = _summary(test_set, matching.names, run) | {
        "task": "onscreen",
        "protocol": {"name": ONSCREEN, "m_on_fitted_on": "the evaluated pairs", "d_on": ACTIVATION_THRESHOLD},
        "m_on": threshold,
        "n_mismatched": len(mismatched.names),
        "scores": {rule: _accuracy(answers) for rule, answers in right.items()},
        "floors": {"one answer always": {"accuracy": max(share, 1 - share)}},
        "ceiling": {"accuracy": 1.0},
    }
    return Result(pa.table(columns), summary)


def _require_finite(rows: np.ndarray, names: Sequence[str]) -> None:
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise InputError(
            f"What the model gave for {names[int(finite.argmin())]} holds NaN or infinity, so it has no rank and no "
            "distance. Find out why; training may have diverged."
        )


def _accuracy(right: np.ndarray) -> dict[str, Any]:
    return {"accuracy": float(right.mean()), "interval95": mean_intervals({"accuracy": right})}


def _summary(test_set: TestSet, keys: Sequence[str], run: str | None) -> dict[str, Any]:
    return {
        "test_set": test_set.name,
        "lists": {"truth": {"name": test_set.name, "sha256": test_set.sha256}},
        "run": run,
        "n_expected": len(test_set.annotations),
        "n_scored": len(keys),
        "missing": sorted(set(test_set.keys) - set(keys)),
    }
