"""On-screen or off-screen: does the sound belong to the image at all? (Proposal-based paper, Tab. 1; no code public.)

Three rules: m_on, the distance in the common embedding space is below the middle of the medians of matching and
mismatched pairs; d_on, the largest rectified cosine over proposals exceeds 0.2; either of the two. The paper leaves
open strictness, the split the medians come from and the ratio of pairs; here: strict, whatever pairs are passed, and
two protocols: `onscreen` has the medians of the evaluated pairs themselves, so that the test set alone suffices;
`onscreen_validated` those of a validation set's pairs, so that no pair has a say in its own threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from manifests.errors import InputError
from manifests.test_sets import Truth
from training.evaluation.bootstrap import mean_intervals
from training.evaluation.protocol import Protocol
from training.evaluation.results import Result, counted, name_negatives, require_finite_rows
from training.evaluation.scores import Score

ACTIVATION_THRESHOLD = 0.2
DISTANCE = "distance"  # what a threshold of m_on is called among other thresholds
SCORES = (Score("accuracy", "accuracy", "share of pairs rightly called on screen or off."),)


@dataclass(frozen=True)
class OnscreenProtocol(Protocol):
    """The three rules of the Proposal-based paper. `fitted_on`: whose medians the threshold of m_on lies between."""

    task: ClassVar[str] = "onscreen"
    fitted_on: Literal["the evaluated pairs", "the pairs of a validation set"] = "the evaluated pairs"

    @property
    def asks(self) -> str:
        return "pairs"

    @property
    def from_files(self) -> bool:
        return False

    @property
    def fitted_by(self) -> str | None:
        return None if self.fitted_on == "the evaluated pairs" else "onscreen"

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "m_on_fitted_on": self.fitted_on, "d_on": ACTIVATION_THRESHOLD}


@dataclass(frozen=True)
class Pairs:
    """Image-sound pairs: distance of the embeddings and largest rectified cosine, both (N,)."""

    names: Sequence[str]
    distance: np.ndarray
    activation: np.ndarray


@dataclass(frozen=True)
class BothPairs:
    """Pairs that belong together and pairs that do not, and m_on's threshold where other pairs say it."""

    matching: Pairs
    mismatched: Pairs
    threshold: float | None = None


ANSWERS, TAKES = BothPairs, "pairs that belong together and pairs that do not"


def check(truth: Truth, protocol: OnscreenProtocol) -> None:
    """Any set of clips will do: mismatched pairs are its negatives, or drawn."""


def score(
    found: BothPairs, truth: Truth, protocol: OnscreenProtocol, *, seed: int = 0, run: str | None = None
) -> Result:
    """Accuracy of the three rules.

    InputError without a mismatched pair, without the threshold that the protocol takes from other pairs, or naming the
    pair whose distance or activation is NaN or infinite.
    """
    matching, mismatched, test_set = found.matching, found.mismatched, truth.test_set
    if not len(mismatched.names):
        raise InputError(f"No mismatched pair of {test_set.name} could be scored, so nothing is off screen.")
    for pairs in (matching, mismatched):
        require_finite_rows(np.stack([pairs.distance, pairs.activation], axis=1), pairs.names)
    threshold = _threshold(found, protocol)
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
    summary = counted(test_set, matching.names, run) | {
        "task": "onscreen",
        "protocol": protocol.as_json(),
        "m_on": threshold,
        "n_mismatched": len(mismatched.names),
        "scores": {rule: _accuracy(answers) for rule, answers in right.items()},
        "floors": {"one answer always": {"accuracy": max(share, 1 - share)}},
        "ceiling": {"accuracy": 1.0},
    }
    if truth.extended is not None:
        name_negatives(summary, truth.extended, mismatched.names)
    return Result(pa.table(columns), summary)


def _threshold(found: BothPairs, protocol: OnscreenProtocol) -> float:
    if protocol.fitted_by is None:
        return distance_threshold(found.matching.distance, found.mismatched.distance)
    if found.threshold is None:
        raise InputError(f"{protocol.name} asks a validation set up to which distance a pair is on screen. Name it.")
    return found.threshold


def _accuracy(right: np.ndarray) -> dict[str, Any]:
    return {"accuracy": float(right.mean()), "interval95": mean_intervals({"accuracy": right})}


def distance_threshold(matching: np.ndarray, mismatched: np.ndarray) -> float:
    """m_on: the mean of the two medians of Euclidean distances (P,) and (Q,)."""
    return float((np.median(matching) + np.median(mismatched)) / 2)


def right_answers(
    distance: tuple[np.ndarray, np.ndarray], activation: tuple[np.ndarray, np.ndarray], threshold: float
) -> dict[str, np.ndarray]:
    """bool (P + Q,) by rule: matching pairs called on-screen, then mismatched ones not, at the distance `threshold`."""
    near = [values < threshold for values in distance]
    active = [values > ACTIVATION_THRESHOLD for values in activation]
    either = [first | second for first, second in zip(near, active, strict=True)]
    rules = {"m_on": near, "d_on": active, "either": either}
    return {rule: np.concatenate([matching, ~mismatched]) for rule, (matching, mismatched) in rules.items()}
