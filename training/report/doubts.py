"""Published numbers that are known not to fit together, named where a run stands beside them.

`training.evaluation.consistency` finds what no measurement can give; this file lists what only reading papers shows.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from manifests.files.content import read_content

FILE = Path(__file__).parent / "doubts.yaml"


@cache
def listed() -> tuple[Mapping[str, Any], ...]:
    """Every entry of the file: the scores (fractions) that are doubted, and the doubt; method and test_set where it is
    of one, and None for a score of any value."""
    return tuple(read_content(FILE).yaml())


def doubts(method: str, test_set: str, published: Mapping[str, float]) -> Iterator[str]:
    """What is known against these published numbers of a method on a set, a sentence each."""
    for entry in listed():
        about = (entry.get("method", method), entry.get("test_set", test_set)) == (method, test_set)
        if about and all(_is(published.get(score), value) for score, value in entry["scores"].items()):
            yield f"{entry['doubt']}."


def _is(published: float | None, doubted: float | None) -> bool:
    return published is not None and doubted in (None, published)
