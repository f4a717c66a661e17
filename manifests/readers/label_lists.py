"""Label lists: which clip carries which label and split.

`read_labels` answers with a row per clip key. Ingest joins these rows to the clips it finds; of several rows of one
clip the first is kept, and counted.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from manifests.clip_lists import read_clip_list
from manifests.clip_rows import KNOWN_FORMATS, WHOLE_VIDEO, ClipLabel, ClipList
from manifests.content import read_content
from manifests.errors import InputError

EXAMPLES = 3


@dataclass(frozen=True)
class LabelTable:
    """One label list, read: rows by clip key, and what was met on the way.

    `repeated` counts rows whose clip was listed before, `conflicting` those of them with another label or split (the
    first row is kept); `headers` counts header lines.
    """

    path: str
    format: str
    rows: dict[str, ClipLabel]
    repeated: int = 0
    conflicting: int = 0
    headers: int = 0

    @property
    def labelled(self) -> bool:
        """Whether any row carries a label (a bare list of ids does not)."""
        return any(row.label is not None for row in self.rows.values())

    @property
    def examples(self) -> str:
        """The first rows as they were understood: `<key> is 'label' (split)`."""
        first = list(self.rows.values())[:EXAMPLES]
        return "; ".join(f"{row.key} is {_said(row.label)} ({row.split or 'no split'})" for row in first)

    def absent(self, present: Collection[str]) -> list[str]:
        """Clips listed but not among the keys `present`, sorted; MUSIC's two names of a video are one clip."""
        seen = {key.removesuffix(WHOLE_VIDEO) for key in present}
        return sorted({key.removesuffix(WHOLE_VIDEO) for key in self.rows} - seen)


def _said(label: str | None) -> str:
    return "without a label" if label is None else repr(label)


def read_labels(path: Path) -> LabelTable:
    """Read a label list of any known layout; `.gz` is unpacked. InputError when none fits, or two do."""
    found = read_clip_list(read_content(path))
    if found.doubt is not None:
        raise InputError(f"The label list {path} is of no known format: {found.doubt}. Known formats: {KNOWN_FORMATS}.")
    if not found.rows:
        raise InputError(f"The label list {path} holds no clip. Known formats: {KNOWN_FORMATS}.")
    return _table(path, found)


def _table(path: Path, found: ClipList) -> LabelTable:
    rows: dict[str, ClipLabel] = {}
    repeated = conflicting = 0
    for label in found.rows:
        kept = rows.setdefault(label.key, label)
        repeated += kept is not label
        conflicting += kept != label
    return LabelTable(str(path), found.layout, rows, repeated, conflicting, found.headers)
