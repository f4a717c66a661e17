"""Rows whose columns have names, be they a csv with a header or objects in JSON: what they say of which clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from manifests.clip_lists.columns import said_of
from manifests.clip_lists.rows import LABEL_FIELDS, ClipLabel, ClipList
from manifests.clip_lists.sides import sides_of
from manifests.clip_lists.starts import timed_names


def clips_of(
    names: Sequence[str], fields: Sequence[str], entries: Sequence[Mapping[str, object]], path: Path
) -> ClipList:
    """The clips of rows by their `names`, each from a column of `fields`. InputError where a start or a split is not
    certain."""
    sides = sides_of(entries, path)
    rows = tuple(
        ClipLabel.named(name, said_of(entry, LABEL_FIELDS, numbers=True), side)
        for name, entry, side in zip(
            timed_names(names, entries, fields, path), entries, sides or [None] * len(entries), strict=True
        )
    )
    return ClipList("rows with named columns", rows, splits=sides is not None)
