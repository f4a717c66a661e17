"""Which clips are cut from one video, and so are neither negatives nor neighbours of each other."""

from collections.abc import Iterable

import numpy as np


def source_numbers(source_ids: Iterable[str | None]) -> np.ndarray:
    """Number the source videos, int32 (N,); a clip whose source is unknown or empty is its own."""
    numbers: dict[str | int, int] = {}
    names = (name or position for position, name in enumerate(source_ids))
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int32)
