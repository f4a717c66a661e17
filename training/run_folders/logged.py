"""What a run has written of itself, for whoever tells of it: lines of its log and sections of its config, checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.plain_data import NotPlain, object_with

SECTIONS = ("optim", "data", "method")
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "step": (int, "a whole number"),
    "epoch": (int, "a whole number"),
    "seconds": ((int, float), "a number"),
    "loss": (dict, "an object of named numbers"),
    "pace": (dict, "an object of named numbers"),
}


def log_entry(line: str, *names: str) -> dict[str, Any]:
    """One line of metrics.jsonl, which must have these names. Raises NotPlain for values that are not of their kind."""
    entry = object_with(line, *names)
    for name, (kind, words) in _KINDS.items():
        if name in entry and not _is(entry[name], kind):
            raise NotPlain(f"has for {name} what is not {words}")
        if kind is dict and not all(_is(value, (int, float)) for value in entry.get(name, {}).values()):
            raise NotPlain(f"has for {name} what is not {words}")
    if "validation" in entry and "epoch" not in entry:
        raise NotPlain("has validation scores and no epoch")
    return entry


def check_sections(config: Mapping[str, Any], path: Path, remedy: str) -> None:
    """InputError for a section of a run's config that is no mapping."""
    if wrong := [name for name in SECTIONS if not isinstance(config.get(name, {}), dict)]:
        raise InputError(f"{path} is damaged: its {wrong[0]} is no section of named values. {remedy}")


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
