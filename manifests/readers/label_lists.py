"""Label lists: which clip carries which label and split.

`read_labels` answers with a row per clip key. Ingest joins these rows to the clips it finds; of several rows of one
clip the first is kept, and counted; rows that put a clip into two splits are refused.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from manifests.clip_lists.layouts import read_clip_list
from manifests.clip_lists.rows import KNOWN_FORMATS, SPLIT_WORDS, WHOLE_VIDEO, ClipLabel, ClipList, DoubtfulList
from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.keys import folders_in_common, named_clip

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class NameInFolders:
    """What a list may know a clip by: its `key` and its `folders`, the last `inside` of them those within its source;
    `alone`: no clip in another folder has that key."""

    key: str
    folders: tuple[str, ...]
    inside: int
    alone: bool


@dataclass(frozen=True)
class LabelTable:
    """One label list, read: the first row of each clip key, and what was met on the way.

    `namesakes` has all rows of a key that the list names in several folders; `within` are the folders below which the
    list speaks of files, none for one that speaks of files anywhere; `repeated` counts rows whose clip was listed
    before, `conflicting` those of them with another label or split (the first row is kept); `headers` counts header
    lines.
    """

    path: str
    format: str
    rows: dict[str, ClipLabel]
    repeated: int = 0
    conflicting: int = 0
    headers: int = 0
    namesakes: Mapping[str, tuple[ClipLabel, ...]] = field(default_factory=dict)
    within: tuple[str, ...] = ()

    def row_of(self, name: NameInFolders) -> ClipLabel | None:
        """The row of a clip; None when there is none, or several could be meant. Outer folders are called otherwise on
        other machines, those inside the source must agree: but not of a clip that is alone in having its name, where
        the list names one such only."""
        if name.folders[: len(self.within)] != self.within:
            return None
        rows = self.namesakes.get(name.key) or ((self.rows[name.key],) if name.key in self.rows else ())
        common = [(folders_in_common(row.folders, name.folders), row) for row in rows]
        agreeing = [(count, row) for count, row in common if count >= min(len(row.folders), name.inside)]
        most = max((count for count, _ in agreeing), default=0)
        meant = [row for count, row in agreeing if count == most] or (rows if name.alone else ())
        return meant[0] if meant and all(row == meant[0] for row in meant) else None

    @property
    def labelled(self) -> bool:
        """Whether any row carries a label (a bare list of ids does not)."""
        return any(row.label is not None for row in self.rows.values())

    @property
    def examples(self) -> str:
        """The first rows as they were understood: `<key> is 'label' (split)`, namesakes with their folders."""
        first = list(self.rows.values())[:EXAMPLES]
        return "; ".join(f"{self._named(row)} is {_said(row.label)} ({row.split or 'no split'})" for row in first)

    def _named(self, row: ClipLabel) -> str:
        return "/".join((*row.folders, row.key)) if row.key in self.namesakes else row.key

    def absent(self, present: Collection[str]) -> list[str]:
        """Clips listed but not among the keys `present`, sorted; MUSIC's two names of a video are one clip."""
        seen = {key.removesuffix(WHOLE_VIDEO) for key in present}
        return sorted({key.removesuffix(WHOLE_VIDEO) for key in self.rows} - seen)


def _said(label: str | None) -> str:
    return "without a label" if label is None else repr(label)


def read_labels(path: Path, within: tuple[str, ...] = ()) -> LabelTable:
    """Read a label list of any known layout; `.gz` is unpacked. InputError when none fits, or two do, or when a clip is
    in two splits.

    `within`: the folders of a list that names the files in and below its own folder, as Hugging Face's metadata does.
    What such a folder is called says the split where the list does not.
    """
    found = read_clip_list(read_content(path))
    if found.doubt is not None:
        raise InputError(f"The label list {path} is of no known format: {found.doubt}. Known formats: {KNOWN_FORMATS}.")
    if not found.rows:
        raise InputError(f"The label list {path} holds no clip. Known formats: {KNOWN_FORMATS}.")
    rows = [_below(row, within) for row in found.rows] if within else found.rows
    return replace(_table(path, replace(found, rows=tuple(rows))), within=within)


def _below(row: ClipLabel, within: tuple[str, ...]) -> ClipLabel:
    split = row.split or (within[-1].lower() if within[-1].lower() in SPLIT_WORDS else None)
    own = named_clip(row.key).start_seconds is None
    return replace(row, split=split, folders=(*within, *row.folders) if own else ())


def _table(path: Path, found: ClipList) -> LabelTable:
    rows: dict[tuple[str, tuple[str, ...]], ClipLabel] = {}
    by_key: dict[str, list[ClipLabel]] = {}
    repeated = conflicting = 0
    for label in found.rows:
        kept = rows.setdefault((label.key, label.folders), label)
        _check_split(path, kept, label)
        if kept is label:
            by_key.setdefault(label.key, []).append(label)
        repeated += kept is not label
        conflicting += kept != label
    first = {key: same[0] for key, same in by_key.items()}
    namesakes = {key: tuple(same) for key, same in by_key.items() if len(same) > 1}
    return LabelTable(str(path), found.layout, first, repeated, conflicting, found.headers, namesakes)


def _check_split(path: Path, first: ClipLabel, later: ClipLabel) -> None:
    """InputError for a clip in two splits: one of them would be trained on, or tested, against what the list says."""
    if first.split and later.split and first.split != later.split:
        raise DoubtfulList(
            f"The label list {path} has the clip {'/'.join((*first.folders, first.key))} in two splits, {first.split} "
            f"and {later.split}. Keep one of its rows."
        )
