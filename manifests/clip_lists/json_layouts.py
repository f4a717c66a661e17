"""Lists of clips in JSON: objects with a name and a label, names alone, or MUSIC's ids by instrument."""

from collections.abc import Iterator
from typing import Any

from manifests.clip_lists.rows import (
    END_FIELDS,
    KNOWN_FORMATS,
    LABEL_FIELDS,
    NAME_FIELDS,
    SPLIT_FIELDS,
    START_FIELDS,
    VIDEO_IDS,
    WHOLE_VIDEO,
    ClipLabel,
    ClipList,
)
from manifests.clip_lists.starts import timed_names
from manifests.errors import InputError
from manifests.files.content import Content


def read_json(content: Content) -> ClipList:
    """Every row of a json list. InputError where it is of no known layout."""
    match content.json():
        case {"videos": dict(by_label)}:
            return ClipList("MUSIC ids by label", tuple(_music_rows(by_label, content)))
        case dict() as entries if entries and all(isinstance(value, str) for value in entries.values()):
            return ClipList("json {name: label}", tuple(ClipLabel.named(key, entries[key]) for key in entries))
        case dict() as entries if entries:
            doubt = "the json object holds no labels"
            return ClipList("json by name", tuple(map(ClipLabel.named, entries)), doubt=doubt)
        case [dict(), *_] as entries:
            return _of_objects(content, entries)
        case [*entries] if all(isinstance(entry, str) for entry in entries):
            return ClipList("json list of ids", tuple(map(ClipLabel.named, entries)))
    raise InputError(f"The json file {content.path} is of no known layout. Known formats: {KNOWN_FORMATS}.")


def _of_objects(content: Content, entries: list[Any]) -> ClipList:
    fields = [_name_field(entry, content) for entry in entries]
    named = [entry[field].strip() for entry, field in zip(entries, fields, strict=True)]
    windows = [(_said(entry, START_FIELDS), _said(entry, END_FIELDS)) for entry in entries]
    rows = tuple(
        ClipLabel.named(name, _first(entry, LABEL_FIELDS, numbers=True), _first(entry, SPLIT_FIELDS))
        for name, entry in zip(timed_names(named, windows, fields, content.path), entries, strict=True)
    )
    doubts = (_doubt(entry) for entry, row in zip(entries, rows, strict=True) if row.label is None)
    return ClipList("json list", rows, splits=any(row.split for row in rows), doubt=next(filter(None, doubts), None))


def _said(entry: dict[str, Any], fields: tuple[str, ...]) -> object:
    return next((entry[field] for field in fields if entry.get(field) is not None), None)


def _name_field(entry: Any, content: Content) -> str:
    fields = (*NAME_FIELDS, *VIDEO_IDS) if isinstance(entry, dict) else ()
    for field in fields:
        if isinstance(entry.get(field), str):
            return field
    raise InputError(f'{content.path} has the entry {str(entry)[:80]} without "file" or "image". Give a list of clips.')


def _doubt(entry: dict[str, object]) -> str | None:
    """Why an entry without a label may have one."""
    given = (f'the "{field}" {str(entry[field])[:80]}' for field in LABEL_FIELDS if entry.get(field) is not None)
    return next((f"an entry has {label}, which is not one text or number" for label in given), None)


def _first(entry: dict[str, object], fields: tuple[str, ...], numbers: bool = False) -> str | None:
    """The first of the fields that holds text, or where classes may be numbered, a whole number."""
    for value in map(entry.get, fields):
        if isinstance(value, str) or (numbers and type(value) is int):
            return str(value)
    return None


def _music_rows(by_label: dict[str, Any], content: Content) -> Iterator[ClipLabel]:
    """MUSIC lists bare video ids; the files are called `<ytid>_0_1000` (the constant is the release's)."""
    for label, ids in by_label.items():
        if not isinstance(ids, list) or not all(isinstance(ytid, str) for ytid in ids):
            raise InputError(
                f"{content.path} has {str(ids)[:80]} for the videos of {label[:80]}. Give a list of video ids."
            )
        for ytid in ids:
            yield ClipLabel(ytid, label)
            yield ClipLabel(f"{ytid}{WHOLE_VIDEO}", label)
