"""Measuring some methods again: their new lines take the place of the old ones in the file of figures."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchmarks.methods.plan import Plan

Figures = Mapping[str, Any]
HEAD = ("command", "machine", "hardware", "versions", "gpu", "commit")  # what a measurement depends on


def earlier(path: Path, plan: Plan, only: Collection[str]) -> dict[str, Any]:
    """The figures that stay; ends the program where there are none, or for a name that the plan has not."""
    known = {entry.name for entry in (*plan.methods, *plan.ablations)}
    if unknown := sorted(set(only) - known):
        raise SystemExit(f"--only {' '.join(unknown)}: the plan has no such entry, only {', '.join(sorted(known))}.")
    if not path.is_file():
        raise SystemExit(f"--only measures again what {path} holds, but there is no such file. Leave out --only first.")
    return json.loads(path.read_text())


def merged_figures(before: Figures, found: Figures) -> dict[str, Any]:
    """`before` with the lines of every entry in `found` replaced; `measured_again` says where the new ones are from.

    Floors stay what they are, since not every run has an object prior to give one; further protocols' are added.
    """
    entries = list(dict.fromkeys(line["entry"] for line in found["runs"]))
    kept = [line for line in before["runs"] if line["entry"] not in entries]
    again = {"entries": entries} | {name: found[name] for name in HEAD}
    replaced = [one for one in before.get("measured_again", []) if not set(one["entries"]) <= set(entries)]
    return {
        **before,
        "plan": found["plan"],
        "chosen_temperatures": before["chosen_temperatures"] | found["chosen_temperatures"],
        "neighbours": before["neighbours"] | found["neighbours"],
        "context": {
            test_set: protocols | before.get("context", {}).get(test_set, {})
            for test_set, protocols in {**before.get("context", {}), **found["context"]}.items()
        },
        "runs": kept + list(found["runs"]),
        "measured_again": [*replaced, again],
    }
