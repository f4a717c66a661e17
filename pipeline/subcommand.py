"""What holds for every subcommand of the three command lines, before its work begins and while it prints.

No output is what the command is told to read, whichever of its options says so, and through whatever link; it can be
written; what has to lie on this machine is no address; and no name that is printed drives the terminal. A new command
has all of this without a line of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.commands.screen import printable_streams
from manifests.files.outputs import check_not_read, check_writable
from pipeline.given_once import OnceEach
from pipeline.storage.addresses import check_here
from pipeline.storage.remote import place

OUT = "out"
PLACES_OR_NAMES = ("src", "lists", "test", "clips", "shards")  # options of text that may name a file or a folder

# What may be an address, or any text at all; settings are looked at by `training.settings`
TEXTS_IN_A_STORAGE = ("src", "out", "path")
IN_A_STORAGE = ("shards",)
NO_PLACES = ("scheduler", "password", "overrides")


class Subcommand(OnceEach):
    """A command that compares what it would write with what it would read."""

    def check_typed(self, typed: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """InputError for an address where a place on this machine, or a word, is meant."""
        for parameter in self.params:
            name = str(parameter.name)
            stored = name in IN_A_STORAGE or (name in TEXTS_IN_A_STORAGE and not _are_paths(given.get(name)))
            for text in () if name in NO_PLACES else _each(typed.get(name)):
                if stored:
                    place(text)
                else:
                    check_here(text, typed_name(parameter))

    def invoke(self, ctx: Any) -> Any:
        with printable_streams():
            if ctx.params.get(OUT) is not None:
                out = place(ctx.params[OUT])
                check_not_read(Path(out), self._read(ctx.params))
                if isinstance(out, Path):
                    check_writable(out)
            return super().invoke(ctx)

    def _read(self, given: dict[str, Any]) -> dict[str, list[Path | str]]:
        """What is given to be read, by the option as it is typed."""
        found = {}
        for parameter in self.params:
            name = str(parameter.name)
            if places := [each for each in _each(given.get(name)) if is_place(name, each)]:
                found[typed_name(parameter)] = places
        return found


def _each(value: Any) -> tuple[Any, ...]:
    """What was given for a parameter, once or several times; nothing where it was not."""
    return tuple(value) if isinstance(value, list | tuple) else () if value is None else (value,)


def _are_paths(value: Any) -> bool:
    return any(isinstance(each, Path) for each in _each(value))


def is_place(name: str, value: object) -> bool:
    """Whether the value of an option names what is read."""
    return name != OUT and (isinstance(value, Path) or (name in PLACES_OR_NAMES and isinstance(value, str)))


def typed_name(parameter: Any) -> str:
    """An option as it is typed, an argument as the help shows it."""
    return next((name for name in parameter.opts if name.startswith("--")), str(parameter.name).upper())
