"""What every command of the three stages shows a person: progress, a summary at the end, one paragraph on failure.

On a terminal progress is a bar; elsewhere it is one plain line every few seconds, so that logs stay readable.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from manifests.endings import run_to_its_end
from pipeline.given_once import OnceEach

PLAIN_LINE_SECONDS = 5.0
DISTRIBUTION = "sound-source-localization"


def run_app(app: typer.Typer, name: str) -> None:
    """Run the command line `name` to its end (`manifests.endings`)."""
    for command in app.registered_commands:
        command.cls = OnceEach
    _offer_version(app, name)
    run_to_its_end(app)


def _offer_version(app: typer.Typer, name: str) -> None:
    """Give a command line the option `--version`."""

    def show(asked: bool) -> None:
        if asked:
            print(name, version())
            raise typer.Exit

    @app.callback()
    def options(
        shown: Annotated[
            bool, typer.Option("--version", callback=show, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        """What may stand before a subcommand; the help text is the app's own."""


def version() -> str:
    """Of the code that runs: a checkout has it in pyproject.toml, an installed copy in its metadata."""
    from importlib.metadata import version as installed

    project = _described(Path(__file__).parents[1] / "pyproject.toml")
    return str(project["version"]) if project.get("name") == DISTRIBUTION else installed(DISTRIBUTION)


def _described(description: Path) -> dict[str, object]:
    """The project table of a pyproject.toml; beside an installed copy there is none, or one of another project."""
    import tomllib

    return tomllib.loads(description.read_text(encoding="utf-8")).get("project", {}) if description.is_file() else {}


@contextmanager
def progress(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show work being done; yields `advance(n)`. `total` counts `unit`s ("clips", "steps")."""
    shown = _bar(title, total, unit) if sys.stderr.isatty() else _plain_lines(title, total, unit)
    with shown as advance:
        yield advance


@contextmanager
def _bar(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda amount=1: bar.advance(task, amount)


@contextmanager
def _plain_lines(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    start = last = time.monotonic()
    done = 0

    def advance(amount: int = 1) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last >= PLAIN_LINE_SECONDS or done >= total > 0:
            last = now
            print(f"{title}: {done}/{total} {unit}, {now - start:.0f} s", file=sys.stderr, flush=True)

    yield advance


def summary(title: str, facts: Mapping[str, object]) -> None:
    """Print a stage's closing table: one fact a line, names aligned."""
    width = max((len(name) for name in facts), default=0)
    print(title)
    for name, value in facts.items():
        print(f"  {name:<{width}}  {value}")
    sys.stdout.flush()
