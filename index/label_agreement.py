"""Label agreement: how often a clip's neighbours carry its label, so that a person sees whether neighbours make sense.

Counted block by block while neighbours are found. Labels judge the neighbours only; nothing is chosen by them.
"""

import numpy as np

DEPTHS = (1, 10, 100)


class LabelAgreement:
    """Share of the first 1, 10 and 100 neighbours that have the label of their clip.

    Clips and neighbours without a label are left out; depths beyond k are not reported.
    """

    def __init__(self, labels: list[str | None], k: int) -> None:
        self._labels = _numbered(labels)
        self._same = {depth: 0 for depth in DEPTHS if depth <= k}
        self._counted = dict(self._same)

    def count(self, clips: np.ndarray, neighbours: np.ndarray) -> None:
        """Add clips at positions (Q,) with their neighbours (Q, k), best first."""
        own = self._labels[clips][:, None]
        for depth in self._same:
            theirs = self._labels[neighbours[:, :depth]]
            labelled = (own >= 0) & (theirs >= 0)
            self._same[depth] += int(np.count_nonzero(labelled & (own == theirs)))
            self._counted[depth] += int(np.count_nonzero(labelled))

    def shares(self) -> dict[str, float]:
        """Depth -> share in [0, 1]; empty when no clip has a label."""
        return {str(depth): self._same[depth] / counted for depth, counted in self._counted.items() if counted}


def agreement(labels: list[str | None], clips: np.ndarray, neighbours: np.ndarray, counted: np.ndarray) -> float | None:
    """Share of the neighbours (Q, k) of clips (Q,) that carry their clip's label, of those that `counted` (N,) has.

    None where no clip and neighbour have a label each.
    """
    numbers = _numbered(labels)
    own, theirs = numbers[clips][:, None], numbers[neighbours]
    labelled = (own >= 0) & (theirs >= 0) & counted[neighbours]
    pairs = np.count_nonzero(labelled)
    return float(np.count_nonzero(labelled & (own == theirs)) / pairs) if pairs else None


def chance(labels: list[str | None]) -> float | None:
    """The share that neighbours drawn at random would reach; None when fewer than two clips have a label."""
    numbers = _numbered(labels)
    sizes = np.bincount(numbers[numbers >= 0])
    pairs = sizes.sum() * (sizes.sum() - 1)
    return float((sizes * (sizes - 1)).sum() / pairs) if pairs else None


def _numbered(labels: list[str | None]) -> np.ndarray:
    """int32 (N,): a number for each label, -1 for none."""
    numbers: dict[str | None, int] = {None: -1}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int32)
