"""Lists of clips in JSON: objects with a name and a label, in a list or by name, columns, lists by split, names alone,
or MUSIC's ids by instrument."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from manifests.clip_lists.columns import said_of, shown, with_small_letters
from manifests.clip_lists.file_names import ends_in_suffix, looks_like_a_name, surely_names_a_clip
from manifests.clip_lists.headers import is_header
from manifests.clip_lists.rows import (
    KNOWN_FORMATS,
    LABEL_FIELDS,
    NAME_FIELDS,
    SPLIT_WORDS,
    VIDEO_IDS,
    WHOLE_VIDEO,
    ClipLabel,
    ClipList,
    normal_split,
)
from manifests.clip_lists.tables import clips_of
from manifests.clip_lists.written_names import name_in
from manifests.errors import InputError
from manifests.files.content import Content
from manifests.keys import clip_key

_NAMING = (*NAME_FIELDS, *VIDEO_IDS)


def read_json(content: Content) -> ClipList:
    """Every row of a json list. InputError where it is of no known layout, or where its names are in doubt."""
    return _read(content.json(), content.path)


def _read(given: Any, path: Path) -> ClipList:
    match given:
        case {"videos": dict(by_label)}:
            return ClipList("MUSIC ids by label", tuple(_music_rows(by_label, path)))
        case dict() as entries if entries:
            return _of_object(with_small_letters(entries, path), entries, path)
        case [dict(), *_] as entries:
            return _of_entries("json list", entries, path)
        case [*entries] if all(isinstance(entry, str) for entry in entries):
            return ClipList("json list of ids", tuple(ClipLabel.named(name_in(entry, path)) for entry in entries))
    raise InputError(f"The json file {path} is of no known layout. Known formats: {KNOWN_FORMATS}.")


# --- objects ---------------------------------------------------------------------------------------------------------


def _of_object(small: Mapping[str, Any], given: Mapping[str, Any], path: Path) -> ClipList:
    """`small` has the names in small letters, for what are columns or splits."""
    values = list(given.values())
    if all(name in SPLIT_WORDS for name in small) and all(isinstance(each, list | dict) for each in values):
        return _by_split(small, path)
    if _are_columns(small):
        return _of_entries("json columns", _rows_of_columns(small, path), path)
    if is_header(list(small)) and not any(isinstance(each, list | dict) for each in values):
        return _of_entries("json object", [given], path)
    if all(isinstance(each, str) for each in values):
        return _labels_by_name(given, path)
    if all(isinstance(each, dict) for each in values):
        return _objects_by_name(given, path)
    sure = surely_names_a_clip if any(map(_holds_texts, values)) else looks_like_a_name
    if unsure := [name for name in given if not sure(name)]:
        raise _unsure(unsure[0], given[unsure[0]], path)
    return ClipList("json by name", _named(given, path), doubt="the json object holds no labels")


def _unsure(name: str, value: object, path: Path) -> InputError:
    return InputError(
        f"The json object in {path} has {shown(name)} with {shown(value)}, and it is not certain that this is a clip. "
        f"Known formats: {KNOWN_FORMATS}."
    )


def _named(given: Mapping[str, Any], path: Path) -> tuple[ClipLabel, ...]:
    return tuple(ClipLabel.named(name_in(name, path)) for name in given)


def _holds_texts(value: object) -> bool:
    """Whether it may be the clips of a class, or classes of a clip."""
    return isinstance(value, list) and any(isinstance(each, str) for each in value)


def _by_split(parts: Mapping[str, Any], path: Path) -> ClipList:
    """`{"train": [...], "test": [...]}`: each part is a list of its own."""
    read = [(split, _read(part, path)) for split, part in parts.items() if part]
    for split, part in read:
        if other := next((row for row in part.rows if row.split not in (None, normal_split(split))), None):
            raise InputError(f"{path} has the clip {other.key} of split {other.split} under {split}. Correct the list.")
    rows = [[replace(row, split=split) for row in part.rows] for split, part in read]
    doubt = next((part.doubt for _, part in read if part.doubt), None)
    return ClipList("json by split", tuple(chain.from_iterable(rows)), splits=True, doubt=doubt)


def _labels_by_name(given: Mapping[str, str], path: Path) -> ClipList:
    swapped = [name for name, label in given.items() if ends_in_suffix(label.strip()) and not ends_in_suffix(name)]
    if swapped or all(name.lower() in SPLIT_WORDS for name in given):
        name = next(iter([*swapped, *given]))
        raise InputError(
            f"The json object in {path} has {shown(name)} with {shown(given[name])}, and it is not certain which of "
            'them is the clip. Give {name: label}, or a list of objects such as {"file": "a.mp4", "label": "dog"}.'
        )
    rows = (ClipLabel.named(name_in(name, path), label) for name, label in given.items())
    return ClipList("json {name: label}", tuple(rows))


def _objects_by_name(given: Mapping[str, Mapping[str, Any]], path: Path) -> ClipList:
    """`{"a.mp4": {"label": "dog"}}`; the names may count rows whose objects name the clip themselves."""
    entries = [with_small_letters(entry, path) for entry in given.values()]
    told = [said_of(entry, _NAMING) for entry in entries]
    if all(name.isdigit() for name in given) and all(told):
        return _of_entries("json objects by number", entries, path)
    for name, own, entry in zip(given, told, entries, strict=True):
        if own is not None and clip_key(own) != clip_key(name):
            raise InputError(
                f"{path} has the object {shown(name)}, which names the clip {shown(own)}: it is not certain which of "
                "them it is. Give a list of the objects."
            )
        if not looks_like_a_name(name) and not is_header(list(entry)) and said_of(entry, LABEL_FIELDS, True) is None:
            raise _unsure(name, entry, path)
    found = clips_of([name_in(name, path) for name in given], ["name"] * len(given), entries, path)
    labelled = any(row.label is not None for row in found.rows)
    doubt = _doubt(entries, found.rows) if labelled else "the json object holds no labels"
    return replace(found, layout="json by name", doubt=doubt)


# --- columns ---------------------------------------------------------------------------------------------------------


def _are_columns(given: Mapping[str, Any]) -> bool:
    """Whether an object holds columns, by row numbers or as lists, as `DataFrame.to_json` and `to_dict` have them."""
    kinds = {type(value) for value in given.values()}
    return kinds in ({dict}, {list}) and (is_header(list(given)) or (len(given) == 1 and set(given) <= set(_NAMING)))


def _rows_of_columns(given: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    columns = {name: dict(enumerate(held)) if isinstance(held, list) else held for name, held in given.items()}
    numbers = list(next(iter(columns.values())))
    if any(list(held) != numbers for held in columns.values()):
        raise InputError(f"The columns {', '.join(map(shown, columns))} of {path} do not have the same rows.")
    return [{name: held[number] for name, held in columns.items()} for number in numbers]


# --- rows ------------------------------------------------------------------------------------------------------------


def _of_entries(layout: str, given: Sequence[Any], path: Path) -> ClipList:
    fields = [_name_field(entry, path) for entry in given]
    entries = [with_small_letters(entry, path) for entry in given]
    names = [name_in(entry[field], path) for entry, field in zip(entries, fields, strict=True)]
    found = clips_of(names, fields, entries, path)
    return replace(found, layout=layout, doubt=_doubt(entries, found.rows))


def _name_field(entry: Any, path: Path) -> str:
    small = with_small_letters(entry, path) if isinstance(entry, dict) else {}
    for field in _NAMING:
        if isinstance(small.get(field), str):
            return field
    raise InputError(f'{path} has the entry {str(entry)[:80]} without "file" or "image". Give a list of clips.')


def _doubt(entries: Sequence[Mapping[str, Any]], rows: Sequence[ClipLabel]) -> str | None:
    """Why an entry without a label may have one."""
    for entry, row in zip(entries, rows, strict=True):
        for field in LABEL_FIELDS if row.label is None else ():
            if entry.get(field) not in (None, ""):
                return f'an entry has the "{field}" {str(entry[field])[:80]}, which is not one text or number'
    return None


def _music_rows(by_label: dict[str, Any], path: Path) -> Iterator[ClipLabel]:
    """MUSIC lists bare video ids; the files are called `<ytid>_0_1000` (the constant is the release's)."""
    for label, ids in by_label.items():
        if not isinstance(ids, list) or not all(isinstance(ytid, str) for ytid in ids):
            raise InputError(f"{path} has {str(ids)[:80]} for the videos of {label[:80]}. Give a list of video ids.")
        for ytid in ids:
            yield ClipLabel(ytid, label)
            yield ClipLabel(f"{ytid}{WHOLE_VIDEO}", label)
