"""Lists of clips as this project writes them: what reads lists reads them back exactly, whatever the clips are called.

One key a line, as any program reads it. Where a line would be taken for something else (`Hello, World` for a clip with
its label, `# 2` for a comment, `file` for the name of a column), a csv of one column `key` with every key in quotes.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from manifests.clip_lists.layouts import read_clip_list
from manifests.clip_lists.rows import OWN_HEADER
from manifests.errors import InputError
from manifests.files.content import Content


def as_list(keys: Iterable[str]) -> str:
    """The text of a list of these keys."""
    keys = list(keys)
    bare = "".join(f"{key}\n" for key in keys)
    return bare if _is_read_as(bare, keys) else as_csv([(OWN_HEADER,), *((key,) for key in keys)], every_field=True)


def keys_in(text: str) -> tuple[str, ...]:
    """The keys of a list that `as_list` wrote, or a version that wrote one key a line whatever it was called."""
    first, *lines = text.split("\n")
    if first == f'"{OWN_HEADER}"':
        return tuple(row[0] for row in csv.reader(lines) if row)
    return tuple([first, *lines][:-1])


def as_csv(rows: Iterable[Sequence[str]], every_field: bool = False) -> str:
    """Rows as csv, in quotes what needs them, or every field."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if every_field else csv.QUOTE_MINIMAL).writerows(rows)
    return text.getvalue()


def _is_read_as(text: str, keys: Sequence[str]) -> bool:
    try:
        rows = read_clip_list(Content(Path("list.txt"), text.encode())).rows
    except InputError:
        return False
    return [(row.key, row.label, row.folders) for row in rows] == [(key, None, ()) for key in keys]
