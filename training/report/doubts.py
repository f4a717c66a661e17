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
    """Every entry of the file: method, test_set, the scores (fractions) that are doubted, and the doubt."""
    return tuple(read_content(FILE).yaml())


def doubts(method: str, test_set: str, published: Mapping[str, float]) -> Iterator[str]:
    """What is known against these published numbers of a method on a set, a sentence each."""
    for entry in listed():
        about = (entry["method"], entry["test_set"]) == (method, test_set)
        if about and entry["scores"].items() <= published.items():
            yield f"{entry['doubt']}."
