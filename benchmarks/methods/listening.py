"""Localization against listening, of every method and floor of a comparison: a table and a plot, over its seeds.

    python -m benchmarks.methods.listening benchmarks/methods/real.json

writes `real-listening.md` and `real-listening.svg` beside the figures. What is read was measured on the heard test
clips under `vssl_textbook`: one grid for all maps, and a threshold that a clip's own negative sounds have no say in.
Means over the seeds with their standard deviation. A comparison that is not finished has no floors yet; that is said.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.methods.chart import Mark, draw
from benchmarks.methods.summary import HEARD, markdown, on_bed
from manifests.sound_draws import NEGATIVES

PROTOCOL = "vssl_textbook"
ACROSS, UP = "vssl_ciou", "hears"
IN_WORDS = "share of what is shown that depends on the sound"
COLUMNS = {  # heading -> scores whose mean it is, and what they are multiplied by
    "hears": (("hears",), 100),
    "mean cIoU": (("vssl_ciou",), 100),
    "F_LOC": (("f_loc",), 100),
    "F_AUC": (("f_auc",), 100),
    "pIA, negatives": (tuple(f"pia_{name}" for name in NEGATIVES), 100),
    "AUC_N, negatives": (tuple(f"auc_n_{name}" for name in NEGATIVES), 100),
    "FPR": (("outside_truth",), 100),
    "mask IoU, off-screen": (("overlap_offscreen",), 100),
    "correlation, off-screen": (("correlation_offscreen",), 1),
    "correlation, same class": (("correlation_swapped",), 1),
    "cIoU lost, off-screen": (("ciou_drop_offscreen",), 100),
    "cIoU lost, same class": (("ciou_drop_swapped",), 100),
}
Scores = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """A method, or a floor, with its scores by seed."""

    title: str
    seeds: tuple[Scores, ...]
    floor: bool = False

    def values(self, names: Sequence[str]) -> list[float]:
        """Of each seed the mean of these scores; nothing where one was not measured."""
        whole = [own for own in self.seeds if all(own.get(name) is not None for name in names)]
        return [fmean(own[name] for name in names) for own in whole]

    @property
    def mark(self) -> Mark | None:
        """Its place in the plot; None where it was not measured."""
        across, up = self.values((ACROSS,)), self.values((UP,))
        if not across or not up:
            return None
        return Mark(self.title, fmean(across), fmean(up), _spread(across), _spread(up), self.floor)


def answers(result: Mapping[str, Any], map_name: str = "audio_visual") -> list[Answer]:
    """The methods of a file of figures, each at its chosen temperature, then the floors."""
    test_set, found = on_bed(result, HEARD), []
    for name in result["plan"]["methods"]:
        runs = chosen_runs(result, name)
        scores = [run["scores"].get(test_set, {}).get(PROTOCOL, {}).get(map_name) for run in runs]
        if any(scores):
            found.append(Answer(name, tuple(own for own in scores if own)))
    floors = result.get("context", {}).get(test_set, {}).get(PROTOCOL, {}).get("floors", {})
    found.sort(key=lambda one: -fmean(one.values((UP,)) or [0]))
    return found + [Answer(name.replace("_", " "), (scores,), floor=True) for name, scores in floors.items()]


def chosen_runs(result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A method's runs at the temperature that was chosen; in a file still growing at the one that validates best."""
    runs = [run for run in result["runs"] if run["entry"] == name]
    if not runs:
        return []
    best = max(runs, key=lambda run: run["validation"][-1])["temperature"]
    temperature = result["chosen_temperatures"].get(name, best)
    return sorted((run for run in runs if run["temperature"] == temperature), key=lambda run: run["seed"])


def table(found: Iterable[Answer]) -> list[str]:
    """A row for each answer, as Markdown."""
    rows = [
        [
            f"floor: {one.title}" if one.floor else one.title,
            "" if one.floor else str(len(one.seeds)),
            *(_cell(one.values(names), scale) for names, scale in COLUMNS.values()),
        ]
        for one in found
    ]
    return markdown(["answer", "seeds", *COLUMNS], rows)


def _cell(values: Sequence[float], scale: int) -> str:
    if not values:
        return ""
    digits = 1 if scale > 1 else 2
    spread = f" ± {scale * _spread(values):.{digits}f}" if len(values) > 1 else ""
    return f"{scale * fmean(values):.{digits}f}{spread}"


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def page(result: Mapping[str, Any], found: Sequence[Answer], mixed: Sequence[Answer], source: str) -> str:
    """The tables with what one has to know of them."""
    lines = [
        f"# Does it listen? `{source}`",
        "",
        f"Made by `python -m benchmarks.methods.listening benchmarks/methods/{source}`, on `{on_bed(result, HEARD)}`",
        f"under `{PROTOCOL}`. Mean over seeds ± standard deviation; correlations from -1 to 1, all else in per cent.",
        "What each column means: [does-it-listen.md](../../docs/does-it-listen.md).",
        "",
        *table(found),
        "",
    ]
    if not any(one.floor for one in found):
        lines += ["The comparison is not finished: its floors, which come last, are not measured yet.", ""]
    if mixed:
        lines += ["With the object prior mixed in, which hears nothing:", "", *table(mixed), ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="JSON of a comparison")
    parser.add_argument("--out", type=Path, help="folder to write to; default: beside the figures")
    options = parser.parse_args()
    result = json.loads(options.figures.read_text())
    found = answers(result)
    if not found:
        raise SystemExit(
            f"{options.figures} holds no scores under {PROTOCOL}: it was measured before methods were asked whether "
            "they listen. Measure it again with benchmarks.methods.compare."
        )
    out = options.out or options.figures.parent
    mixed = [one for one in answers(result, "combined") if not one.floor]
    stem = out / f"{options.figures.stem}-listening"
    stem.with_suffix(".md").write_text(page(result, found, mixed, options.figures.name))
    marks = [mark for one in found if (mark := one.mark)]
    draw(marks, stem.with_suffix(".svg"), "mean cIoU at a threshold from negative sounds", f"{UP}: {IN_WORDS}")
    print("\n".join(table(found)))
    print(f"{stem}.md and {stem}.svg")


if __name__ == "__main__":
    main()
