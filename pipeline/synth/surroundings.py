"""Surroundings: a class has one or two places of its own, where it appears with a chosen probability."""

from collections.abc import Sequence

import numpy as np

CLASSES_PER_PLACE = 2


def places_wanted(classes: int) -> int:
    """How many places so many classes share."""
    return max(2, -(-classes // CLASSES_PER_PLACE))


def homes(order: Sequence[str], places: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The places of each class. In `order` related classes stand together: two share a place, and the second of them
    has the next pair's, too."""
    found = {}
    for number, label in enumerate(order):
        first = number // CLASSES_PER_PLACE * len(places) // places_wanted(len(order))
        own = places[first : first + 1 + number % CLASSES_PER_PLACE]
        found[label] = tuple(own)
    return found


def draw_place(own: Sequence[int], places: Sequence[int], share: float, rng: np.random.Generator) -> int:
    """One of a class's own places with probability `share`, else any place."""
    candidates = own if rng.random() < share and own else places
    return candidates[int(rng.integers(len(candidates)))]
