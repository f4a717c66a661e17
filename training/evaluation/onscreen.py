"""On-screen or off-screen: does the sound belong to the image at all? (Proposal-based paper, Tab. 1; no code public.)

Three rules: m_on, the distance in the common embedding space is below the middle of the medians of matching and
mismatched pairs; d_on, the largest rectified cosine over proposals exceeds 0.2; either of the two. The paper leaves
open strictness, the split the medians come from and the ratio of pairs; here: strict, the evaluated pairs themselves
unless other distances are given, and whatever pairs are passed.
"""

import numpy as np

ACTIVATION_THRESHOLD = 0.2


def distance_threshold(matching: np.ndarray, mismatched: np.ndarray) -> float:
    """m_on: the mean of the two medians of Euclidean distances (P,) and (Q,)."""
    return float((np.median(matching) + np.median(mismatched)) / 2)


def onscreen_summary(
    distance: tuple[np.ndarray, np.ndarray],
    activation: tuple[np.ndarray, np.ndarray],
    fitted_on: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, float]:
    """Accuracy of the three rules over matching (on-screen) and mismatched (off-screen) pairs.

    distance, activation: (matching (P,), mismatched (Q,)); activation is the largest rectified cosine of a pair.
    fitted_on: distances the threshold is taken from; by default the evaluated ones.
    """
    threshold = distance_threshold(*(fitted_on or distance))
    rules = right_answers(distance, activation, threshold)
    accuracies = {f"accuracy_{rule}": float(right.mean()) for rule, right in rules.items()}
    return {"m_on": threshold, "d_on": ACTIVATION_THRESHOLD, **accuracies}


def right_answers(
    distance: tuple[np.ndarray, np.ndarray], activation: tuple[np.ndarray, np.ndarray], threshold: float
) -> dict[str, np.ndarray]:
    """bool (P + Q,) by rule: matching pairs called on-screen, then mismatched ones not, at the distance `threshold`."""
    near = [values < threshold for values in distance]
    active = [values > ACTIVATION_THRESHOLD for values in activation]
    either = [first | second for first, second in zip(near, active, strict=True)]
    rules = {"m_on": near, "d_on": active, "either": either}
    return {rule: np.concatenate([matching, ~mismatched]) for rule, (matching, mismatched) in rules.items()}
