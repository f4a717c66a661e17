"""Classes of clips as numbers, for methods that need labels: those of the shards, or groups of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.files.spelling import composed
from pipeline.shards.store import ShardStore

HEADER = ["label", "group"]


@dataclass(frozen=True)
class Classes:
    """`names` in alphabetic order; `of_row` (N,) int64 the number of each row's, -1 of a row that is not trained on."""

    names: tuple[str, ...]
    of_row: np.ndarray


def classes_of(store: ShardStore, selected: np.ndarray, groups: Path | None = None) -> Classes:
    """The classes of the selected rows. InputError where a clip has no label, or a label no group."""
    rows = np.flatnonzero(selected)
    labels = store.table["label"].take(rows).to_pylist()
    missing = [store.keys[row] for row, label in zip(rows, labels, strict=True) if not label]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(rows)} training clips have no label, first {missing[0]}, and the method needs "
            "one of each. Ingest the videos with their labels (`pipeline ingest --meta LIST`), or train on labelled "
            "clips (data.train_list)."
        )
    named = labels if groups is None else _grouped(labels, groups)
    names, numbers = np.unique(named, return_inverse=True)
    of_row = np.full(len(store), -1, np.int64)
    of_row[rows] = numbers
    return Classes(tuple(names.tolist()), of_row)


def _grouped(labels: list[str], path: Path) -> list[str]:
    group_of = dict(read_content(path).table(HEADER, 0, "Give a list of groups: each label once, with its group."))
    whole = {composed(label): group for label, group in group_of.items()}  # labels of folders may be decomposed
    group_of |= {label: whole[composed(label)] for label in {*labels} - group_of.keys() if composed(label) in whole}
    unknown = sorted(set(labels) - group_of.keys())
    if unknown:
        raise InputError(f"{path} names no group of {len(unknown)} labels of the training clips, first {unknown[0]!r}.")
    return [group_of[label] for label in labels]
