"""Lists of clips in JSON: objects with a name and a label, names alone, or MUSIC's ids by instrument."""

from collections.abc import Iterator
from typing import Any

from manifests.clip_rows import (
    KNOWN_FORMATS,
    LABEL_FIELDS,
    NAME_FIELDS,
    SPLIT_FIELDS,
    VIDEO_IDS,
    WHOLE_VIDEO,
    ClipLabel,
    ClipList,
)
from manifests.content import Content
from manifests.errors import InputError


def read_json(content: Content) -> ClipList:
    """Every row of a json list. InputError where it is of no known layout."""
    match content.json():
        case {"videos": dict(by_label)}:
            return ClipList("MUSIC ids by label", tuple(_music_rows(by_label)))
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
    found = []
    for entry in entries:
        name = _first(entry, (*NAME_FIELDS, *VIDEO_IDS)) if isinstance(entry, dict) else None
        if name is None:
            raise InputError(
                f'{content.path} has the entry {str(entry)[:80]} without "file" or "image". Give a list of clips.'
            )
        found.append(ClipLabel.named(name, _first(entry, LABEL_FIELDS, numbers=True), _first(entry, SPLIT_FIELDS)))
    return ClipList("json list", tuple(found), splits=any(row.split for row in found))


def _first(entry: dict[str, object], fields: tuple[str, ...], numbers: bool = False) -> str | None:
    """The first of the fields that holds text, or where classes may be numbered, a whole number."""
    for value in map(entry.get, fields):
        if isinstance(value, str) or (numbers and type(value) is int):
            return str(value)
    return None


def _music_rows(by_label: dict[str, list[str]]) -> Iterator[ClipLabel]:
    """MUSIC lists bare video ids; the files are called `<ytid>_0_1000` (the constant is the release's)."""
    for label, ids in by_label.items():
        for ytid in ids:
            yield ClipLabel(ytid, label)
            yield ClipLabel(f"{ytid}{WHOLE_VIDEO}", label)
