"""Calls of the three commands in lines that somebody types, and whether there are such commands."""

import importlib
from collections.abc import Iterator

import typer

COMMANDS = ("pipeline", "index", "training")


def calls(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The call of one of the three commands that a line holds, also behind torchrun, docker or a path."""
    for number, word in enumerate(words):
        if word.rpartition("/")[2] in COMMANDS:
            yield word.rpartition("/")[2], [other for other in words[number + 1 :] if other != "&"]
            return


def check_call(name: str, arguments: list[str], *, complete: bool) -> None:
    """The subcommand and its options exist and take such values; with `complete` nothing that is needed is missing."""
    command = typer.main.get_command(importlib.import_module(f"{name}.cli").app)
    context = typer.Context(command, info_name=name)
    chosen, found, rest = command.resolve_command(context, list(arguments))
    assert found is not None
    found.make_context(chosen, rest, parent=context, resilient_parsing=not complete)
