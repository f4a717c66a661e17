"""What the columns of a list are, by their names: one rule for the header of a csv and the fields of JSON objects.

`start_sec`, `startSeconds` and `Start (s)` are one column. Whatever else may tell where a clip begins is for
`manifests.clip_lists.starts` to refuse.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from manifests.clip_lists.rows import LABEL_FIELDS, MAYBE_SPLIT_FIELDS, NAME_FIELDS, SPLIT_FIELDS, VIDEO_IDS
from manifests.errors import InputError
from manifests.files.given import shortened

KNOWN_STARTS = "start, start_seconds, start_sec, start_time, time_start, begin or start_ms"
_UNITS = r"(in)?(?P<unit>s|secs?|seconds?|ms|msecs?|millis|milliseconds?)?"
_START = re.compile(rf"((start|begin)(time)?|time(start|begin)){_UNITS}")  # `time_start` as Kinetics has it
_END = re.compile(rf"(end(time)?|timeend){_UNITS}")
_NOT_PLAIN = re.compile(r"[\W_]+")
_KNOWN = frozenset({*VIDEO_IDS, *NAME_FIELDS, *LABEL_FIELDS, *SPLIT_FIELDS, "audio"})


@cache
def plain(column: str) -> str:
    """A column's name without what is written in several ways."""
    return _NOT_PLAIN.sub("", column.lower())


@cache
def start_unit(column: str) -> float | None:
    """Seconds in the unit of a column of starts; None for another column."""
    return _seconds_in(_START.fullmatch(plain(column)))


@cache
def end_unit(column: str) -> float | None:
    """The same of a column of ends."""
    return _seconds_in(_END.fullmatch(plain(column)))


def _seconds_in(match: re.Match[str] | None) -> float | None:
    return None if match is None else 0.001 if (match["unit"] or "").startswith("m") else 1.0


def is_known(column: str) -> bool:
    """Whether a column has a name that is read."""
    return column in _KNOWN or start_unit(column) is not None or end_unit(column) is not None


def unknown_columns(columns: Iterable[str]) -> list[str]:
    """Those that no name tells, each once; `set` and its like may be splits."""
    return [each for each in dict.fromkeys(columns) if not is_known(each) and each not in MAYBE_SPLIT_FIELDS]


def check_once(columns: Sequence[str], path: Path) -> None:
    """InputError for two columns of one name: which of them counts nobody knows."""
    if twice := [each for each in dict.fromkeys(columns) if is_known(each) and columns.count(each) > 1]:
        raise InputError(f"{path} has the column {twice[0]!r} more than once. Leave out or rename those not meant.")


def with_small_letters(entry: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A row by columns, their names in small letters as csv has them."""
    check_once([field.strip().lower() for field in entry], path)
    return {field.strip().lower(): value for field, value in entry.items()}


def values_of(column: str, entries: Iterable[Mapping[str, object]]) -> list[object]:
    """What rows say in a column, where they say anything."""
    return [value for entry in entries if (value := entry.get(column)) not in (None, "")]


def columns_of(entries: Iterable[Mapping[str, object]]) -> list[str]:
    """Every column that some row has, in their order."""
    return list(dict.fromkeys(column for entry in entries for column in entry))


def said_of(entry: Mapping[str, object], fields: Iterable[str], numbers: bool = False) -> str | None:
    """The first of the fields that holds text, or where classes may be numbered, a whole number."""
    for value in map(entry.get, fields):
        if (isinstance(value, str) and value.strip()) or (numbers and type(value) is int):
            return str(value)
    return None


def shown(value: object) -> str:
    """A value in a sentence."""
    return shortened(repr(value), 80)
