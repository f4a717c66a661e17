"""Which files make training clips and which test clips: no recording and no photograph lies on both sides.

Files of one source go together: of one recording or photograph as lists and names say it, or of equal content; also
those of one instrument or collection, as far as a list names it. A class whose sources leave a side with too few files
is divided recording by recording, every fifth to the test side, and named: only instruments and collections are then
taken apart.
"""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["train", "test"]
SIDES: tuple[Side, Side] = ("train", "test")
TEST_EVERY = 5
LEAST_SHARE, MOST_SHARE = 0.1, 0.4  # of a class's files on the test side; beyond that its sources do not divide it


@dataclass(frozen=True)
class Member:
    """One file in one class. `number` is its own; `origins`: whatever it has in common with files of its recording or
    photograph, which nothing takes apart; `collections`: what it has in common with others of its instrument."""

    number: int
    label: str
    origins: tuple[str, ...]
    collections: tuple[str, ...] = ()


@dataclass(frozen=True)
class Divided:
    """The side of each member, by its number; the classes that were divided file by file; those of which one side has
    nothing."""

    side: dict[int, Side]
    by_file: tuple[str, ...]
    one_sided: tuple[str, ...]


def divide(members: Sequence[Member], seed: int) -> Divided:
    """Give every member a side. The same members and seed give the same sides, in whatever order they come."""
    sources = _joined(members, lambda member: (*member.collections, *member.origins))
    classes: dict[str, list[Member]] = defaultdict(list)
    for member in sorted(members, key=lambda each: (each.label, each.collections + each.origins, each.number)):
        classes[member.label].append(member)
    of_source: dict[str, Side] = {}
    for label in sorted(classes):
        _divide_sources([sources[member.number] for member in classes[label]], of_source, seed)
    side, by_file = _taken_apart(classes, {member.number: of_source[sources[member.number]] for member in members})
    torn = _on_both_sides((sources[member.number], side[member.number]) for member in members)
    named = (label for label, found in classes.items() if torn & {sources[each.number] for each in found})
    divided = _on_both_sides((member.label, side[member.number]) for member in members)
    return Divided(side, tuple(sorted(by_file.union(named))), tuple(sorted(classes.keys() - divided)))


def _joined(members: Iterable[Member], origins: Callable[[Member], Sequence[str]]) -> dict[int, str]:
    """By member a name of its group: members that have any origin in common, also through others, share it."""
    parent: dict[str, str] = {}

    def top(origin: str) -> str:
        while parent.setdefault(origin, origin) != origin:
            origin = parent[origin]
        return origin

    members = list(members)
    for member in members:
        first, *others = sorted(map(top, origins(member)))
        for other in others:
            parent[other] = first
    return {member.number: top(origins(member)[0]) for member in members}


def _taken_apart(
    classes: Mapping[str, Sequence[Member]], by_source: Mapping[int, Side]
) -> tuple[dict[int, Side], set[str]]:
    """The sides after classes that sources do not divide were divided by recordings and photographs, and those classes.

    Those that share a recording with another class may leave that one undivided, which then is of them, too. A class
    of a single one stays where it is.
    """
    whole = _joined((member for found in classes.values() for member in found), lambda member: member.origins)
    wholes = {label: list(dict.fromkeys(whole[each.number] for each in found)) for label, found in classes.items()}
    several = {label: found for label, found in classes.items() if len(wholes[label]) > 1}
    side, apart = dict(by_source), set[str]()
    while undivided := {label for label, found in several.items() if not _is_divided(found, side)} - apart:
        apart |= undivided
        settled: dict[str, Side] = {}
        for label in sorted(apart, key=lambda label: (len(wholes[label]), label)):
            _divide_one_by_one(wholes[label], settled)
        side = {number: settled.get(whole[number], each) for number, each in by_source.items()}
    return side, apart


def _divide_one_by_one(wholes: Sequence[str], settled: dict[str, Side]) -> None:
    """Every fifth of those that have no side yet to the test side, and one at least to each while any is left."""
    free = [whole for whole in wholes if whole not in settled]
    for place, whole in enumerate(wholes):
        settled.setdefault(whole, "test" if place % TEST_EVERY == TEST_EVERY // 2 else "train")
    if free and len({settled[whole] for whole in wholes}) == 1:
        settled[free[-1]] = "train" if settled[free[-1]] == "test" else "test"


def _on_both_sides(found: Iterable[tuple[str, Side]]) -> set[str]:
    """The names that come with either side."""
    pairs = set(found)
    return {name for name, side in pairs if side == "test" and (name, "train") in pairs}


def _divide_sources(sources: Sequence[str], of_source: dict[str, Side], seed: int) -> None:
    """Give the sources of a class that have no side yet one: the test side until it has about a fifth of the files."""
    counts: dict[str, int] = defaultdict(int)
    for source in sources:
        counts[source] += 1
    tested = sum(count for source, count in counts.items() if of_source.get(source) == "test")
    wanted = max(len(sources) / TEST_EVERY, 0.5)
    for source in sorted(
        counts.keys() - of_source.keys(),
        key=lambda name: (zlib.crc32(f"{seed} {name}".encode("utf-8", "surrogateescape")), name),
    ):
        of_source[source] = "test" if tested + counts[source] / 2 <= wanted else "train"
        tested += counts[source] if of_source[source] == "test" else 0


def _is_divided(members: Sequence[Member], side: dict[int, Side]) -> bool:
    tested = sum(side[member.number] == "test" for member in members)
    share = tested / len(members)
    return 0 < tested < len(members) and (LEAST_SHARE <= share <= MOST_SHARE or len(members) < TEST_EVERY)
