"""Rows whose columns have names, be they a csv with a header or objects in JSON: what they say of which clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from manifests.clip_lists.columns import said_of, shown, values_of
from manifests.clip_lists.rows import LABEL_FIELDS, ClipLabel, ClipList, DoubtfulList
from manifests.clip_lists.sides import sides_of
from manifests.clip_lists.starts import timed_names


def clips_of(
    names: Sequence[str], fields: Sequence[str], entries: Sequence[Mapping[str, object]], path: Path
) -> ClipList:
    """The clips of rows by their `names`, each from a column of `fields`. InputError where a start or a split is not
    certain, or two columns say different classes."""
    sides = sides_of(entries, path)
    labels = _label_columns(entries)
    rows = tuple(
        ClipLabel.named(name, _label(name, entry, labels, path), side)
        for name, entry, side in zip(
            timed_names(names, entries, fields, path), entries, sides or [None] * len(entries), strict=True
        )
    )
    return ClipList("rows with named columns", rows, splits=sides is not None)


def _label_columns(entries: Sequence[Mapping[str, object]]) -> list[str]:
    """The columns that say classes, of which the first counts: of names and numbers the names; and of those that say
    the same in other words, as one class of either is always one of the other, the first."""
    said = {column: values for column in LABEL_FIELDS if (values := values_of(column, entries))}
    named = [column for column, values in said.items() if not all(map(_is_number, values))]
    kept: list[str] = []
    for column in named or said:
        if not any(_same_classes(other, column, entries) for other in kept):
            kept.append(column)
    return kept


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _same_classes(one: str, other: str, entries: Sequence[Mapping[str, object]]) -> bool:
    """Whether every class of one column stands beside one class of the other alone, in the rows that have both."""
    said = ((said_of(entry, (one,), numbers=True), said_of(entry, (other,), numbers=True)) for entry in entries)
    both = {pair for pair in said if None not in pair}
    return len({first for first, _ in both}) == len({second for _, second in both}) == len(both) > 0


def _label(name: str, entry: Mapping[str, object], columns: Sequence[str], path: Path) -> str | None:
    """What the columns say of a clip. InputError where that is two things, or a number in place of a name."""
    said = {column: label for column in LABEL_FIELDS if (label := said_of(entry, (column,), numbers=True)) is not None}
    meant = {column: label for column, label in said.items() if column in columns}
    if len(set(meant.values())) > 1 or (said and not meant):
        told = " and ".join(f"{shown(label)} as its {column}" for column, label in (meant or said).items())
        why = "which of them is its class" if meant else f"what {' and '.join(columns)} of it is, as other rows say"
        raise DoubtfulList(
            f"{path} has {told} of the clip {name}, and it is not certain {why}. Leave out the columns that are not "
            "meant, or call them otherwise."
        )
    return next(iter(meant.values()), None)
