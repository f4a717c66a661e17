"""Threshold rules: how a protocol decides which pixels of a map are called sounding. A rule is one function here.

A rule of the first kind fixes how many pixels are asked for, whatever their values; one of the second fixes the value
that a pixel must reach. The sentence beside each is what pages say of it; `{level}` stands for the protocol's level.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.evaluation.reaches import ANY, SHARE, Reach

Counts = Callable[[float, np.ndarray | None, int], np.ndarray | int]
Values = Callable[[float, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Rule:
    """One of the two is there: `pixels` (level, truth pixels (N,) or None, pixels of the image) -> pixels asked for;
    `value` (level, maps (N, pixels)) -> thresholds (N,). `level`: which levels have a meaning.
    """

    words: str
    level: Reach
    pixels: Counts | None = None
    value: Values | None = None

    @property
    def fixes_area(self) -> bool:
        """Whether the rule asks for a number of pixels: then ties can be broken and the ceiling lies below 1."""
        return self.pixels is not None


RULES: dict[str, Rule] = {}
LEFT_BELOW = Reach(0, 1, below=True)  # a share of the pixels that leaves at least one


def fixes_area(words: str, level: Reach = ANY) -> Callable[[Counts], Counts]:
    """Registers a rule under its function's name that says how many pixels are predicted."""

    def register(rule: Counts) -> Counts:
        RULES[rule.__name__] = Rule(words, level, pixels=rule)
        return rule

    return register


def fixes_value(words: str, level: Reach = ANY) -> Callable[[Values], Values]:
    """Registers a rule under its function's name that says which value a predicted pixel reaches."""

    def register(rule: Values) -> Values:
        RULES[rule.__name__] = Rule(words, level, value=rule)
        return rule

    return register


@fixes_area("the mask is the {level} of the image with the highest values, whatever the object's size", LEFT_BELOW)
def top_share(level: float, _: np.ndarray | None, total: int) -> int:
    return total - int(total * level)


@fixes_area("the mask has as many pixels as the ground truth, so only the ranking of pixels is measured")
def adaptive(_: float, truth_pixels: np.ndarray | None, total: int) -> np.ndarray:
    """Half of the image where the truth is empty."""
    if truth_pixels is None:
        raise ValueError("the adaptive rule needs the number of non-zero truth pixels of every sample")
    return np.where(truth_pixels == 0, total // 2, truth_pixels)


@fixes_value("the mask is every pixel whose scaled value passes {level}")
def fixed(level: float, flat: np.ndarray) -> np.ndarray:
    return np.full(len(flat), level, flat.dtype)


@fixes_value("the mask is every pixel above {level} of the map's maximum", SHARE)
def fraction_of_max(level: float, flat: np.ndarray) -> np.ndarray:
    return flat.max(axis=1) * np.float32(level)


def rule_in_words(name: str, level: float) -> str:
    """What the rule called `name` calls the mask, for a reader who has not met it."""
    if name not in RULES:
        return "see the protocol's fields below"
    if name == "top_share":  # its level is what stays below
        return RULES[name].words.format(level="half" if level == 0.5 else f"{1 - level:g}")
    return RULES[name].words.format(level=level)
