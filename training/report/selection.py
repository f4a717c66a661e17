"""Which clips the gallery shows: the best, where runs differ most, a spread of typical cases, and the worst.

The choice rests on the audio-visual IoU of each run under one protocol. It is deterministic, no clip appears twice, and
a section prefers clips of different labels so that it does not show one easy class six times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class Choice:
    """A section of the gallery before anything is drawn."""

    title: str
    explanation: str
    keys: tuple[str, ...]


def choose(ious: Sequence[Mapping[str, float]], labels: Mapping[str, str | None], clips: int) -> list[Choice]:
    """Sections with about `clips` clips in all.

    Args:
        ious: per run, IoU by sample key; only keys that every run has are eligible.
        labels: label by key, to keep a section varied.
        clips: how many clips the page can hold.
    """
    shared = sorted(set.intersection(*(set(one) for one in ious))) if ious else []
    mean = {key: fmean(one[key] for one in ious) for key in shared}
    spread = {key: max(one[key] for one in ious) - min(one[key] for one in ious) for key in shared}
    ascending = sorted(shared, key=lambda key: (mean[key], key))
    each = max(1, clips // (4 if len(ious) > 1 else 3))
    taken: set[str] = set()

    def pick(ranked: Sequence[str], count: int = each) -> tuple[str, ...]:
        kept = _varied([key for key in ranked if key not in taken], labels, count)
        taken.update(kept)
        return kept

    best = pick(ascending[::-1])
    differ = pick(sorted((key for key in shared if spread[key] > 0), key=lambda key: (-spread[key], key)))
    worst = pick(ascending)
    typical = pick(_quantiles([key for key in ascending if key not in taken], each)[::-1])
    sections = (
        Choice("Best", "Highest IoU, mean over the runs; at most one clip of a label where there are enough.", best),
        Choice("Where runs differ most", "Largest gap in IoU between two runs.", differ),
        Choice("Typical", "Evenly spaced through the ranking by IoU, from the upper to the lower end.", typical),
        Choice("Worst", "Lowest IoU, mean over the runs.", worst),
    )
    return [section for section in sections if section.keys]


def _varied(ranked: Sequence[str], labels: Mapping[str, str | None], count: int) -> tuple[str, ...]:
    """The first `count` keys with labels not seen yet, filled up in rank order; returned in rank order."""
    seen: set[str | None] = set()
    fresh = []
    for key in ranked:
        label = labels.get(key)
        if label is None or label not in seen:
            seen.add(label)
            fresh.append(key)
    chosen = set(fresh[:count])
    chosen.update([key for key in ranked if key not in chosen][: count - len(chosen)])
    return tuple(key for key in ranked if key in chosen)


def _quantiles(ascending: Sequence[str], count: int) -> list[str]:
    """`count` keys at the middles of equal parts of the ranking."""
    if len(ascending) <= count:
        return list(ascending)
    return [ascending[int((part + 0.5) * len(ascending) / count)] for part in range(count)]
