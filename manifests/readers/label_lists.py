"""Label lists: which clip carries which label and split, in every spelling found beside VGGSound-like corpora.

`read_labels` recognises the format from the content and answers with a row per clip key. Ingest joins these rows to the
clips it finds; of several rows of one clip the first is kept, and counted.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.content import Content, read_content
from manifests.errors import InputError
from manifests.keys import parse_clip_name

SPLIT_WORDS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
NAME_FIELDS = ("file", "video", "key", "name", "video_id", "image")
LABEL_FIELDS = ("class", "label", "category")
_HEADER_WORDS = frozenset({*NAME_FIELDS, *LABEL_FIELDS, "ytid", "youtube_id", "id", "start", "start_seconds", "split"})
WHOLE_VIDEO = "_0_1000"
_START = re.compile(r"\d+(\.\d+)?")
_MEDIA_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
KNOWN_FORMATS = (
    "vggsound.csv (ytid,start_seconds,label,split without a header), two columns `<id>_<start>.mp4,label`, one column "
    "of ids, a csv with a header that names its columns, AVE's Annotations.txt (Category&ytid&quality&start&end), "
    "a json list of objects with `file` and `class`, MUSIC's json of ids by instrument, or a json object {id: label}"
)


@dataclass(frozen=True, slots=True)
class ClipLabel:
    """What a list says about one clip; `label` and `split` are None where the list does not say."""

    key: str
    label: str | None = None
    split: str | None = None


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

    def absent(self, present: Collection[str]) -> list[str]:
        """Clips listed but not among the keys `present`, sorted; MUSIC's two names of a video are one clip."""
        seen = {key.removesuffix(WHOLE_VIDEO) for key in present}
        return sorted({key.removesuffix(WHOLE_VIDEO) for key in self.rows} - seen)


def read_labels(path: Path) -> LabelTable:
    """Read a label list of any known format; `.gz` is unpacked. InputError names the formats when none fits."""
    content = read_content(path)
    text = _text(content)
    if path.name.removesuffix(".gz").lower().endswith(".json") or text.lstrip()[:1] in ("[", "{"):
        form, labels = _read_json(path, content.json())
        return _table(path, form, labels, headers=0)
    return _read_rows(content, text)


def _text(content: Content) -> str:
    try:
        return content.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The label list {content.path} is not text in UTF-8 ({error}). Known formats: {KNOWN_FORMATS}."
        ) from error


def _table(path: Path, form: str, labels: Iterable[ClipLabel], headers: int) -> LabelTable:
    rows: dict[str, ClipLabel] = {}
    repeated = conflicting = 0
    for label in labels:
        kept = rows.setdefault(label.key, label)
        repeated += kept is not label
        conflicting += kept != label
    if not rows:
        raise InputError(f"The label list {path} holds no clip. Known formats: {KNOWN_FORMATS}.")
    return LabelTable(str(path), form, rows, repeated, conflicting, headers)


# --- text: one clip a line -------------------------------------------------------------------------------------------


def _read_rows(content: Content, text: str) -> LabelTable:
    path = content.path
    if "&" in text.split("\n", 1)[0]:
        return _table(path, "AVE annotations", _ave_labels(path, text), headers=0)
    rows = content.rows()
    header = _header(rows[0]) if rows else None
    if header is not None:
        return _table(path, "csv with a header", _named_columns(path, header, rows[1:]), headers=1)
    form, labels = _bare_columns(path, rows)
    return _table(path, form, labels, headers=0)


def _header(row: list[str]) -> list[str] | None:
    names = [field.strip().lower() for field in row]
    return names if len(names) > 1 and len(_HEADER_WORDS.intersection(names)) >= 2 else None


def _bare_columns(path: Path, rows: list[list[str]]) -> tuple[str, Iterator[ClipLabel]]:
    width = min((len(row) for row in rows), default=0)
    if width >= 4 and _START.fullmatch(rows[0][1].strip()):
        return "ytid,start,label,split", (_four_columns(path, number, row) for number, row in enumerate(rows, 1))
    if width == 1 and all(len(row) == 1 for row in rows):
        return "list of ids", (ClipLabel(clip_key(row[0])) for row in rows)
    if width >= 2 and all(_names_a_clip(row) for row in rows):
        if all(row[1].strip().isdigit() for row in rows):  # flickr_test.csv: a number no loader reads
            return "list of ids with a number", (ClipLabel(clip_key(row[0])) for row in rows)
        return "name,label", (ClipLabel(clip_key(row[0]), _joined(row[1:])) for row in rows)
    raise InputError(
        f"The label list {path} is of no known format: its first line is {','.join(rows[0])[:200]!r}. "
        f"Known formats: {KNOWN_FORMATS}."
        if rows
        else f"The label list {path} is empty. Known formats: {KNOWN_FORMATS}."
    )


def _names_a_clip(row: list[str]) -> bool:
    """A row of `name,label` names a clip file, a canonical clip or a numeric id; `ambulance siren,1050` does not."""
    name = row[0].strip()
    named = " " not in name and (any(letter.isdigit() for letter in name) or bool(_MEDIA_SUFFIX.search(name)))
    return named and len(row) <= 5 and not (len(row) > 2 and row[1].strip().isdigit())


def _four_columns(path: Path, number: int, row: list[str]) -> ClipLabel:
    """One vggsound.csv row; an unquoted comma in the label gave extra fields, which are joined again."""
    ytid, start, split = row[0].strip(), row[1].strip(), row[-1].strip()
    if len(row) < 4 or not _START.fullmatch(start):
        raise InputError(
            f"Row {number} of {path} is {','.join(row)!r}: expected ytid,start_seconds,label,split with a number of "
            "seconds in the second column. Correct that line, or leave the list out."
        )
    return ClipLabel(f"{ytid}_{int(float(start)):06d}", _joined(row[2:-1]), split or None)


def _joined(fields: list[str]) -> str | None:
    return ", ".join(field.strip() for field in fields) or None


def _named_columns(path: Path, header: list[str], rows: list[list[str]]) -> Iterator[ClipLabel]:
    def column(*names: str) -> int | None:
        return next((header.index(name) for name in names if name in header), None)

    def field(row: list[str], index: int | None) -> str | None:
        return row[index].strip() or None if index is not None and index < len(row) else None

    name = column(*NAME_FIELDS, "ytid", "youtube_id", "id")
    if name is None:
        raise InputError(
            f"The label list {path} has the columns {header} but none that names the clip ({NAME_FIELDS})."
        )
    start = column("start", "start_seconds") if header[name] in ("ytid", "youtube_id", "video_id", "id") else None
    label, split = column(*LABEL_FIELDS), column("split")
    for row in rows:
        identity, seconds = field(row, name), field(row, start)
        if identity is None:
            continue
        key = f"{identity}_{int(float(seconds)):06d}" if seconds and _START.fullmatch(seconds) else clip_key(identity)
        yield ClipLabel(key, field(row, label), field(row, split))


def _ave_labels(path: Path, text: str) -> Iterator[ClipLabel]:
    for number, line in enumerate(filter(None, text.splitlines()), 1):
        fields = line.split("&")
        if len(fields) != 5:
            raise InputError(f"Line {number} of {path} is {line!r}: expected AVE's Category&ytid&quality&start&end.")
        if fields[3].strip().isdigit():  # the copy inside the data set's zip may start with a header
            yield ClipLabel(fields[1].strip(), fields[0].strip())


# --- json ------------------------------------------------------------------------------------------------------------


def _read_json(path: Path, content: Any) -> tuple[str, Iterator[ClipLabel]]:
    match content:
        case {"videos": dict(by_label)}:
            return "MUSIC ids by label", _music_labels(by_label)
        case dict() if content and all(isinstance(value, str) for value in content.values()):
            return "json {name: label}", (ClipLabel(clip_key(name), label) for name, label in content.items())
        case [dict(), *_] if _first(content[0], NAME_FIELDS) is not None:
            return "json list", _json_objects(content)
        case [str(), *_]:
            return "json list of ids", (ClipLabel(clip_key(str(name))) for name in content)
    raise InputError(f"The json file {path} is of no known label format. Known formats: {KNOWN_FORMATS}.")


def _json_objects(objects: list[dict[str, object]]) -> Iterator[ClipLabel]:
    for entry in objects:
        if (name := _first(entry, NAME_FIELDS)) is not None:
            split = entry.get("split")
            yield ClipLabel(clip_key(name), _first(entry, LABEL_FIELDS), split if isinstance(split, str) else None)


def _first(entry: dict[str, object], fields: tuple[str, ...]) -> str | None:
    return next((value for field in fields if isinstance(value := entry.get(field), str)), None)


def _music_labels(by_label: dict[str, list[str]]) -> Iterator[ClipLabel]:
    """MUSIC lists bare video ids; the files are called `<ytid>_0_1000` (the constant is the release's)."""
    for label, ids in by_label.items():
        for ytid in ids:
            yield ClipLabel(ytid, label)
            yield ClipLabel(f"{ytid}{WHOLE_VIDEO}", label)


def clip_key(name: str) -> str:
    """The key a list entry stands for: folders and media suffix dropped, then read like a file stem."""
    return parse_clip_name(_MEDIA_SUFFIX.sub("", name.strip().replace("\\", "/").rsplit("/", 1)[-1])).key
