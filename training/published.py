"""Numbers of papers of 2023 to 2026, from one file: each with its source, training list, threshold rule and doubt.

A config names the entries that it repeats; what a config's own `paper:` holds is of older papers. Either becomes rows
of one form, so that nobody who shows or checks them need know where they stand.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.files.content import read_content

FILE = Path(__file__).with_suffix(".yaml")
Numbers = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]  # set -> protocol -> map -> score -> fraction


@dataclass(frozen=True)
class Entry:
    """A row of a paper's tables, and what has to be known before one compares with it.

    `clips`: how many the set must have, where no list of it is packaged that could tell it from another of its name.
    `ablation`: of interest beside runs of its own config alone.
    """

    name: str
    method: str
    venue: str
    source: str
    list: str
    rule: str
    doubt: str
    numbers: Numbers
    clips: int | None = None
    ablation: bool = False

    @property
    def title(self) -> str:
        return f"published: {self.method} ({self.venue})"

    @property
    def note(self) -> str:
        return f"{self.title}: trained on {self.list}; {self.rule}; {self.doubt}. Source: {self.source}."


@dataclass(frozen=True)
class Printed:
    """What is printed for one map (or direction, or rule) on a set under a protocol: scores as fractions.

    `entry` is where it stands in the file, None for a number of a config's own `paper:`.
    """

    title: str
    test_set: str
    protocol: str
    map: str
    scores: Mapping[str, float]
    entry: Entry | None = None

    @property
    def is_ablation(self) -> bool:
        return self.entry is not None and self.entry.ablation


@cache
def entries() -> dict[str, Entry]:
    """Every entry of the file by name, in its order."""
    return {name: Entry(name, **fields) for name, fields in read_content(FILE).yaml().items()}


def find_entry(name: str) -> Entry:
    """The entry of this name. InputError where there is none."""
    if name not in entries():
        raise InputError(f"{FILE} has no published numbers called {name!r}.{did_you_mean(name, entries())}")
    return entries()[name]


def rows(title: str, numbers: Numbers, entry: Entry | None = None) -> Iterator[Printed]:
    """Nested numbers as a row for each map."""
    for test_set, protocols in numbers.items():
        for protocol, maps in protocols.items():
            for map_name, scores in maps.items():
                yield Printed(title, test_set, protocol, map_name, scores, entry)


def every_row() -> list[Printed]:
    """Every row of the file, in its order."""
    return [row for entry in entries().values() for row in rows(entry.title, entry.numbers, entry)]


def rows_of(config: Mapping[str, Any]) -> list[Printed]:
    """What papers print of a config, a mapping: its own `paper:`, and the entries that its `published:` names.

    InputError for the name of an entry that is not in the file.
    """
    own = rows(f"published: {config.get('name', 'this config')}", config.get("paper") or {})
    named = [find_entry(name) for name in config.get("published") or ()]
    return [*own, *(row for entry in named for row in rows(entry.title, entry.numbers, entry))]
