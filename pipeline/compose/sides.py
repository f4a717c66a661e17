"""Which files make training clips and which test clips: no recording and no photograph lies on both sides.

Files of one source go together: of one recording or photograph as lists and names say it, or of equal content. A class
whose sources leave a side with too few files is divided file by file, every fifth to the test side, and named.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["train", "test"]
SIDES: tuple[Side, Side] = ("train", "test")
TEST_EVERY = 5
LEAST_SHARE, MOST_SHARE = 0.1, 0.4  # of a class's files on the test side; beyond that its sources do not divide it


@dataclass(frozen=True)
class Member:
    """One file in one class. `number` is its own; `origins`: whatever it has in common with files of its source."""

    number: int
    label: str
    origins: tuple[str, ...]


@dataclass(frozen=True)
class Divided:
    """The side of each member, by its number; the classes that were divided file by file."""

    side: dict[int, Side]
    by_file: tuple[str, ...]


def divide(members: Sequence[Member], seed: int) -> Divided:
    """Give every member a side. The same members and seed give the same sides, in whatever order they come."""
    sources = _sources(members)
    classes: dict[str, list[Member]] = defaultdict(list)
    for member in sorted(members, key=lambda member: (member.label, member.origins, member.number)):
        classes[member.label].append(member)
    of_source: dict[str, Side] = {}
    for label in sorted(classes):
        _divide_sources([sources[member.number] for member in classes[label]], of_source, seed)
    side = {member.number: of_source[sources[member.number]] for member in members}
    by_file = [label for label, found in classes.items() if not _is_divided(found, side)]
    for label in by_file:
        for place, member in enumerate(classes[label]):
            side[member.number] = "test" if place % TEST_EVERY == TEST_EVERY // 2 else "train"
        if len(classes[label]) <= TEST_EVERY // 2:
            side[classes[label][-1].number] = "test"
    return Divided(side, tuple(by_file))


def _sources(members: Iterable[Member]) -> dict[int, str]:
    """By member a name of its source: members that have any origin in common, also through others, share it."""
    parent: dict[str, str] = {}

    def top(origin: str) -> str:
        while parent.setdefault(origin, origin) != origin:
            origin = parent[origin]
        return origin

    members = list(members)
    for member in members:
        first, *others = sorted(map(top, member.origins))
        for other in others:
            parent[other] = first
    return {member.number: top(member.origins[0]) for member in members}


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
