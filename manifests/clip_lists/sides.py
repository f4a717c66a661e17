"""Which split the rows of a list are in, by columns. What tells a split and is not read is refused: left out, clips for
testing would be trained on."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from manifests.clip_lists.columns import columns_of, is_known, plain, said_of, shown, values_of
from manifests.clip_lists.rows import MAYBE_SPLIT_FIELDS, SPLIT_FIELDS, SPLIT_OF_WORD, SPLIT_WORDS
from manifests.errors import InputError

_WORDS = "|".join(sorted(SPLIT_WORDS))
_FLAG = re.compile(rf"(is|in)?({_WORDS})(set|split|flag)?")  # is_train, test_set, val
_YES_OR_NO = frozenset({"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "y", "n", "t", "f", "x"})
_INSTEAD = "Give a column split that holds train, val or test"


def sides_of(entries: Sequence[Mapping[str, object]], path: Path) -> list[str | None] | None:
    """The split of each row, None for all where no column says one. InputError for one that cannot be read."""
    columns = columns_of(entries)
    if any(column in SPLIT_FIELDS for column in columns):
        return [_one_side(entry, path) for entry in entries]
    unread = [column for column in columns if not is_known(column)]
    holding = [column for column in unread if _holds_splits(values_of(column, entries))]
    flags = [column for column in unread if _is_flag(column, values_of(column, entries))]
    if len(holding) == 1 and not flags and holding[0] in MAYBE_SPLIT_FIELDS:
        return [said_of(entry, holding) for entry in entries]
    if told := [*holding, *flags]:
        raise InputError(
            f"{path} has the column {told[0]!r}, which holds {shown(values_of(told[0], entries)[0])} and seems to tell "
            f"splits, but is not read. {_INSTEAD}, or leave that column out."
        )
    return None


def _one_side(entry: Mapping[str, object], path: Path) -> str | None:
    """Of two columns the first; words that are splits must agree (`balanced` of AudioSet's subsets is none)."""
    words = [word for field in SPLIT_FIELDS if (word := said_of(entry, [field])) is not None]
    if len({SPLIT_OF_WORD[word.lower()] for word in words if word.lower() in SPLIT_WORDS}) > 1:
        raise InputError(f"{path} gives one row the splits {' and '.join(map(shown, words))}. {_INSTEAD}.")
    return words[0] if words else None


def _holds_splits(values: Sequence[object]) -> bool:
    return bool(values) and all(isinstance(each, str) and each.strip().lower() in SPLIT_WORDS for each in values)


def _is_flag(column: str, values: Sequence[object]) -> bool:
    said = _FLAG.fullmatch(plain(column)) is not None and bool(values)
    return said and all(str(value).strip().lower() in _YES_OR_NO for value in values)
