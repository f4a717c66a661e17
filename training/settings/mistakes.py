"""The mistakes of a config as lines a person reads: where, what, what was given, what was probably meant."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from manifests.commands.counting import counted
from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.files.given import shortened

INNER = "lines_of_a_section"  # the type of an error that carries the lines of a section validated by itself
WITHOUT_VALUE = {"missing", "unnamed"}
UNKNOWN = {"extra_forbidden", "invalid_key"}
NO_NUMBER = {"float_parsing", "int_parsing"}
_WITH_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_QUOTED = re.compile(r"'([^']*)'")
MOST_SHOWN = 200  # characters of what was given


def lines_of(error: ValidationError, model: type[BaseModel], prefix: tuple[str, ...] = ()) -> list[str]:
    """A line for each mistake in a record of this model, which lies at `prefix` in the file."""
    lines = []
    for mistake in error.errors():
        if mistake["type"] == INNER:
            lines += mistake["ctx"]["lines"]
        else:
            path = tuple(str(part) for part in mistake["loc"])
            lines.append(f"  {'.'.join((*prefix, *path)) or 'run'}: {_reason(mistake, model, path)}")
    return lines


def carrying(lines: list[str]) -> PydanticCustomError:
    """An error for a validator of one section to raise, whose lines `lines_of` gives back as they are."""
    return PydanticCustomError(INNER, "a section has mistakes", {"lines": lines})


def _reason(mistake: Any, model: type[BaseModel], path: tuple[str, ...]) -> str:
    if mistake["type"] in UNKNOWN and path[-1].isdigit():
        return "is no key: within braces a comma ends a value. Write a number with a point, such as 0.5 for 0,5"
    if mistake["type"] == "extra_forbidden":
        return f"unknown key{_meant(path[-1], list(_keys(model, path[:-1])))}"
    section = mistake["type"] == "model_type"
    said, meant = f"is a section, as in `{path[-1]}: {{key: value}}`" if section and path else mistake["msg"], ""
    if mistake["type"] == "literal_error":
        meant = f".{did_you_mean(str(mistake['input']), _QUOTED.findall(mistake['ctx']['expected']))}".rstrip(".")
    if mistake["type"] in NO_NUMBER and _WITH_COMMA.fullmatch(str(mistake["input"]).strip()):
        meant = ". Write it with a point in place of the comma"
    return f"{said}{meant}" + (
        "" if mistake["type"] in WITHOUT_VALUE else f" (given: {shortened(repr(mistake['input']), MOST_SHOWN)})"
    )


def _meant(key: str, known: list[str]) -> str:
    """The key that is probably meant, or else all there are; nothing where there is no section."""
    near = did_you_mean(key, known) or (f" The keys here are {', '.join(known)}." if known else "")
    return f".{near}" if near else ""


def _keys(model: type[BaseModel], path: Iterable[str]) -> Iterable[str]:
    """The keys of the section at `path`; none where there is no section."""
    for part in path:
        field = model.model_fields.get(part)
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not sections:
            return ()
        model = sections[0]
    return model.model_fields


class WrongConfig(InputError):
    """A config with mistakes: a line for each, and what it says."""

    def __init__(self, path: Path, content: dict[str, Any], lines: list[str]) -> None:
        super().__init__(f"{path} has {counted(len(lines), 'mistake')}:\n" + "\n".join(lines))
        self.path, self.content, self.lines = path, content, lines

    def with_lines(self, further: list[str]) -> "WrongConfig":
        """With further mistakes, of keys that have none yet."""
        told = {line.partition(": ")[0] for line in self.lines}
        return WrongConfig(
            self.path, self.content, self.lines + [f for f in further if f.partition(": ")[0] not in told]
        )
