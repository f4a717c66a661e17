"""The lines before the rows of a list: one that names the columns, and comments."""

from collections.abc import Sequence
from itertools import takewhile

from manifests.clip_lists.columns import is_known
from manifests.clip_lists.file_names import ends_in_suffix, is_youtube_id
from manifests.clip_lists.rows import NAME_FIELDS, VIDEO_IDS
from manifests.clip_lists.starts import is_seconds


def is_header(fields: Sequence[str]) -> bool:
    """Whether so many columns are called as usual that a line can be nothing else."""
    names = [field.strip().lower() for field in fields]
    return names[0] in (*NAME_FIELDS, *VIDEO_IDS) if len(names) == 1 else len(set(filter(is_known, names))) >= 2


def header_of(rows: Sequence[Sequence[str]]) -> list[str] | None:
    """What the first row calls the columns; None where it is a row like others."""
    names = [field.strip().lower() for field in rows[0]]
    first_alone = len(names) > 1 and names[0] in (*NAME_FIELDS, *VIDEO_IDS) and len(rows) > 1
    return names if first_alone or is_header(names) else None


def without_comments(rows: Sequence[tuple[str, list[str]]]) -> list[list[str]]:
    """The rows that are none, of rows with the line that each begins in; below a header a name in quotes is a name,
    `"# 2"` too."""
    above = list(takewhile(lambda row: row[0].lstrip().startswith("#"), rows))
    below = rows[len(above) :]
    kept = []
    if _are_comments(above, below):
        kept = _named_columns(above[-1][1])
    else:
        below = rows
    for line, row in below:
        named = bool(kept) and is_header(kept[0]) and not line.lstrip().startswith("#")
        kept += [row] if named or not _is_comment(row) else []
    return kept


def _are_comments(above: Sequence[tuple[str, list[str]]], below: Sequence[tuple[str, list[str]]]) -> bool:
    """Whether the lines that begin with # above all others are none of a list: the last names columns, as AudioSet's
    `# YTID, start_seconds, ...` does, or what follows are segments of videos, which these are not."""
    if not above or not below:
        return False
    columns = _uncommented(above[-1][1])
    rows = [row for _, row in below if not _is_comment(row)]
    segments = all(len(row) > 1 and is_youtube_id(row[0].strip()) and is_seconds(row[1].strip()) for row in rows)
    return segments or (len(columns) > 1 and is_header(columns))


def _named_columns(commented: Sequence[str]) -> list[list[str]]:
    """The header in a comment, where the first column is another than the clip; rows in the usual order need none."""
    columns = _uncommented(commented)
    names = [column.strip().lower() for column in columns]
    named = {*NAME_FIELDS, *VIDEO_IDS}
    return [columns] if is_header(columns) and names[0] not in named and named.intersection(names) else []


def _uncommented(row: Sequence[str]) -> list[str]:
    return [row[0].lstrip().lstrip("#").strip(), *row[1:]]


def _is_comment(row: Sequence[str]) -> bool:
    first = row[0].lstrip()
    return first.startswith(("# ", "#\t")) and not ends_in_suffix(first.rstrip())
