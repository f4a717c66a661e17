"""What papers print that no run of ours stands for, from one file, each number under its own set and protocol only.

A column refuses what its rule cannot give: under the top half of the image no map passes 50.54 on VGG-SS, so a larger
number was made by another rule and is named in a note instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from manifests.content import read_content
from training.evaluation.consistency import ROUNDING

FILE = Path(__file__).parent / "published.yaml"


@dataclass(frozen=True)
class Published:
    """A row of a paper's table: scores as fractions, and what has to be known before one compares with them.

    `clips`: how many the set must have, where no list of it is packaged that could tell it from another of its name.
    """

    method: str
    venue: str
    test_set: str
    protocol: str
    map: str
    scores: Mapping[str, float]
    list: str
    rule: str
    doubt: str
    clips: int | None = None

    @property
    def title(self) -> str:
        return f"published: {self.method} ({self.venue})"

    @property
    def note(self) -> str:
        return f"{self.title}: trained on {self.list}; {self.rule}; {self.doubt}."


@cache
def published() -> tuple[Published, ...]:
    """Every row of the file, in its order."""
    return tuple(Published(**row) for row in read_content(FILE).yaml())


def of_column(test_set: str, protocol: str, clips: int | None = None) -> list[Published]:
    """The rows that were measured on this set, of so many clips, under this protocol."""
    rows = (row for row in published() if (row.test_set, row.protocol) == (test_set, protocol))
    return [row for row in rows if row.clips in (None, clips)]


def admitted(rows: Sequence[Published], ceiling: Mapping[str, float]) -> tuple[list[Published], list[str]]:
    """The rows that the rule of a column can give, and a sentence for each that it cannot."""
    kept, refused = [], []
    for row in rows:
        above = [name for name, value in row.scores.items() if value > ceiling.get(name, 1.0) + ROUNDING]
        if above:
            value, most = row.scores[above[0]], ceiling[above[0]]
            refused.append(
                f"{row.title} is refused: {above[0]} {100 * value:.2f} lies above {100 * most:.2f}, the most that any "
                "map reaches under this protocol. It was measured by another rule."
            )
        else:
            kept.append(row)
    return kept, refused
