"""Which clips of the shards a run trains on: those of its list, or of its split, less what must stay out."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from manifests.catalogue import find_list
from manifests.errors import InputError
from manifests.splits import IdList, split_of
from pipeline.shards.store import ShardStore
from training.config import Data


@dataclass(frozen=True)
class Selection:
    """The clips of a store that a run trains on.

    `mask` (N,) bool says which rows they are; `left_out` counts those that were chosen but banned, `dropped` those with
    a flag of `data.drop_flagged`, by flag; `listed` is the list that chose them, None where the split did. `unnamed`
    counts those that name no split where others do, and so count as training clips.
    """

    mask: np.ndarray
    left_out: int
    dropped: Mapping[str, int]
    listed: IdList | None
    unnamed: int = 0

    def keys(self, store: ShardStore) -> list[str]:
        """Their keys, in the order of the rows."""
        return [store.keys[row] for row in np.flatnonzero(self.mask)]


def select(store: ShardStore, data: Data, banned: Collection[str] = ()) -> Selection:
    """The clips to train on: listed or of the split, no dropped flag, not banned.

    A list decides alone: published training lists take clips of VGGSound's own test split, too. InputError when no
    clip is left, or the list's file cannot be found.
    """
    listed = train_list(data)
    listed = None if listed is None else listed.known_as(store.keys)
    chosen = _of_split(store, data) if listed is None else _among(store, frozenset(listed.ids))
    flags = [set(flags or ()) & set(data.drop_flagged) for flags in store.table["flags"].to_pylist()]
    dropped = Counter(flag for row in np.flatnonzero(chosen) for flag in flags[row])
    chosen &= np.array([not found for found in flags], dtype=bool)
    mask = chosen & ~_among(store, banned)
    if not mask.any():
        raise InputError(f"{store.folder} has no usable clip {_wanted(store, data, listed)}.")
    counts = {flag: dropped[flag] for flag in data.drop_flagged}
    unnamed = 0 if listed is not None else int((mask & _without_split(store)).sum())
    return Selection(mask, int((chosen & ~mask).sum()), counts, listed, unnamed)


def train_list(data: Data) -> IdList | None:
    """The list `data.train_list` names, None when it names none. InputError when its file is not at hand."""
    if data.train_list is None:
        return None
    try:
        return find_list(data.train_list, data.lists)
    except InputError as error:
        raise InputError(
            f"data.train_list: {error} `data.train_list=null` trains on every clip of split {data.split}."
        ) from error


def _of_split(store: ShardStore, data: Data) -> np.ndarray:
    return np.array([split_of(value) == split_of(data.split) for value in store.table["split"].to_pylist()], dtype=bool)


def _without_split(store: ShardStore) -> np.ndarray:
    """Clips that name no split where others do; none where none does."""
    unnamed = np.array([value is None for value in store.table["split"].to_pylist()], dtype=bool)
    return unnamed & ~unnamed.all()


def _among(store: ShardStore, keys: Collection[str]) -> np.ndarray:
    return np.array([key in keys for key in store.keys], dtype=bool)


def _wanted(store: ShardStore, data: Data, listed: IdList | None) -> str:
    if listed is not None:
        return f"of the list {listed.source} ({len(listed.ids):,} clips, the first {listed.ids[0]!r})"
    split = np.array(list(map(split_of, store.table["split"].to_pylist())))
    found = ", ".join(f"{name} ({(split == name).sum()})" for name in sorted(set(split.tolist())))
    return f"of split {data.split!r}; its splits are {found}"
