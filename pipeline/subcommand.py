"""What holds for every subcommand of the three command lines, before its work begins and while it prints.

No output is what the command is told to read, whichever of its options says so, and through whatever link; it can be
written; and no name that is printed drives the terminal. A new command has all of this without a line of its own.
"""

from pathlib import Path
from typing import Any

from manifests.commands.screen import printable_streams
from manifests.files.outputs import check_not_read, check_writable
from pipeline.given_once import OnceEach
from pipeline.storage.remote import place

OUT = "out"
PLACES_OR_NAMES = ("src", "lists", "test", "clips", "shards")  # options of text that may name a file or a folder


class Subcommand(OnceEach):
    """A command that compares what it would write with what it would read."""

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
            values = given.get(name)
            several = values if isinstance(values, list | tuple) else [values]
            if places := [each for each in several if is_place(name, each)]:
                found[typed_name(parameter)] = places
        return found


def is_place(name: str, value: object) -> bool:
    """Whether the value of an option names what is read."""
    return name != OUT and (isinstance(value, Path) or (name in PLACES_OR_NAMES and isinstance(value, str)))


def typed_name(parameter: Any) -> str:
    """An option as it is typed, an argument as the help shows it."""
    return next((name for name in parameter.opts if name.startswith("--")), str(parameter.name).upper())
