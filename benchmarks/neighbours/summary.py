"""The tables of benchmarks/README.md out of `real.json`: mean over seeds, lowest and highest in brackets.

python -m benchmarks.neighbours.summary
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from benchmarks.neighbours.curve import PROTOCOLS, RESULT

Row = tuple[str, str, str, int]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    report = json.loads(RESULT.read_text())
    grouped: dict[Row, list[dict[str, float]]] = defaultdict(list)
    for run in report["runs"]:
        grouped[run["method"], run["positives"], run["lists"], run["k"]].append(run["ciou50"])
    titles = ("method", "positives", "lists", "k", "agreement", "seeds", "`ezvsl`", "`adaptive`")
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for row, scores in sorted(grouped.items(), key=_order):
        cells = [spread(100 * score[name] for score in scores) for name in PROTOCOLS]
        shown = (*_named(row), _agreement(report, row), len(scores), *cells)
        print("| " + " | ".join(map(str, shown)) + " |")


def _order(item: tuple[Row, Any]) -> tuple[object, ...]:
    method, positives, lists, k = item[0]
    return method != "ezvsl", positives != "none", positives, lists != "supervised", lists, k


def _named(row: Row) -> tuple[str, str, str, str]:
    method, positives, lists, k = row
    return method, positives, lists if k else "", str(k or "")


def _agreement(report: dict[str, Any], row: Row) -> str:
    """Of the lists that positives are drawn from."""
    _, positives, lists, k = row
    drawn = {"none": (), "all": ("image", "audio")}.get(positives, (positives,))
    return ", ".join(f"{name} {report['agreement'][lists][name][str(k)]:.2f}" for name in drawn)


def spread(values: Iterable[float]) -> str:
    """`36.0 (35.1 .. 37.2)`, or one value alone."""
    found = sorted(values)
    mean = f"{sum(found) / len(found):.1f}"
    return f"{mean} ({found[0]:.1f} .. {found[-1]:.1f})" if len(found) > 1 else mean


if __name__ == "__main__":
    main()
