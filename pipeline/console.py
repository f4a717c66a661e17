"""What every command of the three stages shows a person: progress, a summary at the end, one paragraph on failure.

On a terminal progress is a bar; elsewhere it is one plain line every few seconds, so that logs stay readable. Both say
how much time is left.

What work costs is said here alone, by one rule: at its beginning how much of it there is, and within the first seconds
how long that takes, where it is more than a minute. So whoever does long work does it within `progress`, in units of
seconds at most (tests/test_costs.py).
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Protocol

import typer

from manifests.commands.endings import run_to_its_end
from manifests.commands.extras import DISTRIBUTION
from manifests.commands.screen import terminal
from pipeline.remaining import Remaining, in_words
from pipeline.subcommand import Subcommand

PLAIN_LINE_SECONDS = 5.0
LONGEST_PAUSE = 30.0
ONE = {"clips": "clip", "steps": "step", "results": "result", "protocols": "protocol", "programs": "program"}
_REPEATS: ContextVar[int] = ContextVar("repeats", default=1)
NAMED = 5  # clips of a list that are shown on the screen


def run_app(app: typer.Typer, name: str) -> None:
    """Run the command line `name` to its end (`manifests.commands.endings`)."""
    _offer_version(app, name)
    for command in app.registered_commands:
        command.cls = Subcommand
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


class Advance(Protocol):
    """Counts work as done, and takes what else to say of it now, such as a loss. Nothing counted says, at first,
    that the work begins now: what went before, such as starting processes, tells nothing of its pace."""

    def __call__(self, amount: int = 1, said: str = "") -> None: ...


@contextmanager
def progress(
    title: str, total: int, unit: str, done: int = 0, at_once: int = 1, expected: float | None = None
) -> Iterator[Advance]:
    """Show work being done; yields `advance(n)`. `total` counts `unit`s ("clips", "steps"), `done` those from before,
    `at_once` the calls whose work goes on at the same time, one per worker.

    Work of more than a minute says how long it takes at its beginning where that is known already, `expected` seconds;
    else when its first unit is done, or after a second of short ones.
    """
    work = Remaining(total, done, at_once, _REPEATS.get(), expected)
    shown = _bar if sys.stderr.isatty() else _plain_lines
    with shown(work, title, unit) if os.environ.get("RANK", "0") == "0" else nullcontext(_silent) as advance:
        yield advance


@contextmanager
def first_of(repeats: int) -> Iterator[None]:
    """Work that is done `repeats` times in all, such as runs that differ by their seed: its cost says so."""
    before = _REPEATS.set(repeats)
    try:
        yield
    finally:
        _REPEATS.reset(before)


def _silent(amount: int = 1, said: str = "") -> None:
    """Of several processes that torchrun has started, the first one shows what all of them do."""


@contextmanager
def _bar(work: Remaining, title: str, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=Console(file=terminal(sys.stderr))) as bar:
        task = bar.add_task(title, total=work.total, completed=work.done, left="", said="")

        def say_cost() -> None:
            if cost := work.cost():
                bar.console.print(f"{title}: {cost}", highlight=False, markup=False)

        def advance(amount: int = 1, said: str = "") -> None:
            _count(work, amount)
            say_cost()
            bar.update(task, completed=work.done, left=_left(work), said=said)

        say_cost()
        yield advance


@contextmanager
def _plain_lines(work: Remaining, title: str, unit: str) -> Iterator[Advance]:
    """The bar shows from its beginning how much there is to do; here a first line says it."""
    last = 0.0
    if work.done < work.total:
        left, of = work.total - work.done, f" of {work.total:,}" if work.done else ""
        _print(f"{title}: {left:,}{of} {ONE.get(unit, unit) if work.total == 1 else unit} to do", work.cost())

    def advance(amount: int = 1, said: str = "") -> None:
        nonlocal last
        _count(work, amount)
        cost, elapsed = work.cost(), work.elapsed
        if not amount or not (cost or elapsed - last >= _pause(elapsed) or work.done >= work.total > 0):
            return
        last = elapsed
        _print(f"{title}: {work.done}/{work.total} {unit}", f"{elapsed:.0f} s", cost or _left(work), said)

    yield advance


def _print(*facts: str | None) -> None:
    print(", ".join(filter(None, facts)), file=sys.stderr, flush=True)


def _count(work: Remaining, amount: int) -> None:
    work.advance(amount) if amount else work.begin()


def _pause(elapsed: float) -> float:
    """Seconds between two plain lines: longer work says less often how it goes."""
    return min(LONGEST_PAUSE, max(PLAIN_LINE_SECONDS, elapsed / 20))


def _left(work: Remaining) -> str:
    left = work.seconds()
    return f"{in_words(left)} left" if left and work.done < work.total else ""


def summary(title: str, facts: Mapping[str, object]) -> None:
    """Print a stage's closing table: one fact a line, names aligned."""
    width = max((len(name) for name in facts), default=0)
    print(title)
    for name, value in facts.items():
        print(f"  {name:<{width}}  {value}")
    sys.stdout.flush()


def named(keys: Sequence[str]) -> str:
    """How many clips there are, and the first of them."""
    rest = f" and {len(keys) - NAMED:,} more" if len(keys) > NAMED else ""
    return f"{len(keys):,}: {', '.join(keys[:NAMED])}{rest}"
