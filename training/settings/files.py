"""A run's YAML as one mapping, before anybody validates it: the file, its parent, the overrides of the command line."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manifests.commands.near_names import nearest
from manifests.errors import InputError
from manifests.files import content as given
from manifests.files.given import is_there, shortened
from manifests.files.plain_data import NotPlain, parse_yaml
from pipeline.storage.addresses import check_here, is_address
from pipeline.storage.remote import place

PACKAGED = Path(__file__).parents[1] / "configs"
IN_A_STORAGE = (("data", "shards"),)  # the keys that may be addresses, which their readers look at
MOST_BYTES = 1 << 20  # of a config file; the packaged ones have a few thousand


def find_config(source: str | Path) -> Path:
    """The file a user means: their own, with or without its ending, else a packaged one of a name without a folder."""
    path = Path(source)
    if path.is_dir() and not _is_bare(source):
        raise InputError(f"{source} is a folder, and no config. Name the YAML file.")
    for own in (path, Path(f"{source}.yaml")):
        if not own.is_dir() and is_there(own):  # a pipe or a device is refused by its reader
            return own
    if (packaged := _packaged(str(source)) or _packaged(f"{source}.yaml")) is not None:
        return packaged
    raise InputError(
        f"no config {str(source)!r}: neither a file here nor a packaged one.{_near(path)} `training configs` lists the "
        "packaged ones, which are named without a folder."
    )


def config_in_words(path: Path) -> str:
    """Which config a command reads, as it says when it begins."""
    return f"{path.name}, packaged" if path.parent == PACKAGED else str(path)


def _is_bare(source: str | Path) -> bool:
    """A name with a folder in it, be it `./`, is a place: never a packaged config, which may be another of its name."""
    return os.sep not in str(source)


def _packaged(name: str) -> Path | None:
    """The packaged config of a bare name."""
    return PACKAGED / name if name and _is_bare(name) and (PACKAGED / name).is_file() else None


def _near(path: Path) -> str:
    """The file that is probably meant, in the same folder or packaged."""
    known = {file.name: file.name for file in sorted(PACKAGED.glob("*.yaml"))}
    if path.parent.is_dir():
        known |= {file.name: str(file) for file in sorted(path.parent.glob("*.yaml"))}
    near = nearest(path.name, known)
    return "" if near is None else f" Did you mean {known[near]}?"


def once_each(overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides of a command line. InputError where a later one would undo an earlier one: a key given twice, or a
    section behind a key in it."""
    keys = [override.partition("=")[0] for override in overrides]
    for number, key in enumerate(keys):
        if undone := [early for early in keys[:number] if early == key or early.startswith(f"{key}.")]:
            raise InputError(
                f"{undone[0]}= is given, and {key}= behind it, of which only the last would count. Give one."
            )
    return tuple(overrides)


def read_content(path: Path, overrides: tuple[str, ...]) -> dict[str, Any]:
    """The file over its parent, under the overrides (`section.key=value`). InputError when any cannot be read."""
    content = _with_parent(path)
    for override in overrides:
        _apply(content, override)
    _check_addresses(content)
    content.setdefault("name", path.stem)
    return content


def _check_addresses(content: Any, keys: tuple[str, ...] = ()) -> None:
    """InputError for a value that is an address where its key may have none (IN_A_STORAGE), or one that cannot be."""
    if isinstance(content, dict):
        for key, value in content.items():
            _check_addresses(value, (*keys, str(key)))
    elif isinstance(content, list):
        for value in content:
            _check_addresses(value, keys)
    elif keys not in IN_A_STORAGE:
        check_here(content, ".".join(keys))
    elif is_address(content):
        place(content)


def _with_parent(path: Path) -> dict[str, Any]:
    content = read_mapping(path)
    _check_addresses(content)
    parent_name = content.pop("extends", None)
    if parent_name is None:
        return content
    if not isinstance(parent_name, str) or not parent_name:
        raise InputError(f"{path} extends {parent_name!r}. Give the name of a file beside it, or of a packaged config.")
    beside = path.parent / parent_name
    parent_path = beside if not beside.is_dir() and is_there(beside) else _packaged(parent_name)
    if parent_path is None:
        near = _near(beside)
        raise InputError(f"{path} extends {parent_name!r}, which is neither beside it nor a packaged config.{near}")
    if parent_path.resolve() == path.resolve():
        raise InputError(f"{path} extends itself. Name another file, or leave `extends` out.")
    parent = read_mapping(parent_path)
    if "extends" in parent:
        raise InputError(
            f"{path} extends {parent_name}, which extends {parent['extends']} itself; one level is allowed. Copy what "
            f"{parent_path} says into {path}, and extend {parent['extends']}."
        )
    for printed in ("paper", "published"):  # numbers of the parent say nothing about what differs from it
        parent.pop(printed, None)
    return _merged(parent, content)


def read_mapping(path: Path, expected: str = "`section: {...}` lines", remedy: str = "Correct it.") -> dict[str, Any]:
    """A YAML file that holds a mapping. InputError when it holds anything else, with what may be done about it."""
    content = given.read_content(path, MOST_BYTES).yaml(remedy)
    if not isinstance(content, dict):
        held = "nothing" if content is None else f"a {type(content).__name__}"
        raise InputError(f"{path} holds {held}, expected {expected}.")
    return content


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both_are_sections = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both_are_sections else value
    return merged


def _apply(content: dict[str, Any], override: str) -> None:
    check_here(override, "a setting")
    path, equals, text = override.partition("=")
    shown = path if "://" in override else shortened(override, 80)  # what an address holds is not repeated
    if not equals or not path:
        raise InputError(f"override {shown!r} is not of the form section.key=value.")
    *sections, last = path.split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise InputError(f"override {shown!r}: {section!r} is a value, not a section.")
    try:
        content[last] = parse_yaml(text)
    except NotPlain as error:
        raise InputError(
            f"override {shown!r}: its value {'is no YAML' if shown == path else error}. Write it as in a config."
        ) from error
