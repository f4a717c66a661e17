"""The figures of `several_sources.py` as a page of Markdown tables, mean over seeds with the lowest and the highest."""

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks.methods.summary import HEAD, called, markdown, percent, spread

Columns = Mapping[str, tuple[str, str]]  # heading -> protocol, score
MIXTURES = {"cIoU@0.3": "duet_ciou30", "cIoU@0.5": "duet_ciou50", "AUC": "duet_auc", "CAP": "cap", "PIAP": "piap"}
RELEASED: Columns = {title: ("noprior_duet", score) for title, score in MIXTURES.items()}
TEXTBOOK: Columns = {title: ("noprior_duet", f"{score}_textbook") for title, score in MIXTURES.items()}
INSTRUMENTS: Columns = {
    "CIoU@0.3": ("music_synthetic", "ciou30"),
    "AUC": ("music_synthetic", "auc"),
    "NSA as coded": ("music_synthetic", "nsa"),
    "NSA textbook": ("music_synthetic", "nsa_textbook"),
    "CAP": ("music_synthetic", "cap_instruments"),
    "PIAP": ("music_synthetic", "piap_instruments"),
}
BOXES: Columns = {
    "cIoU@0.5": ("boxes", "ciou50"),
    "AUC": ("boxes", "auc"),
    "matched IoU": ("boxes", "matched_iou"),
}


def released_table(figures: Mapping[str, Any]) -> list[str]:
    """Mixtures of two heard test clips over the images of both, as NoPrior codes it: maps take images greedily in the
    order they come, and CAP and PIAP are of masks."""
    return _table(figures, RELEASED, "maps_of_mixtures")


def textbook_table(figures: Mapping[str, Any]) -> list[str]:
    """The same by the best matching, two entries a mixture, CAP and PIAP of raw maps. One map for a mixture can be
    matched with one of its two images, so that no share is above one half; floors have a map for each."""
    return _table(figures, TEXTBOOK, "maps_of_mixtures")


def collages_table(figures: Mapping[str, Any]) -> list[str]:
    """Test collages of four objects, two of them heard, by a map for each of the heard classes; NSA is how quiet the
    maps of the other classes are."""
    return _table(figures, INSTRUMENTS, "maps_of_collages")


def boxes_table(figures: Mapping[str, Any]) -> list[str]:
    """Answers that are boxes, on the same collages: the union of a method's boxes against that of the two true ones,
    and the mean IoU of the true ones with those assigned to them. A method asked for one source gives one box."""
    return _table(figures, BOXES)


TABLES = (released_table, textbook_table, collages_table, boxes_table)


def page(figures: Mapping[str, Any], name: str) -> str:
    """All tables of the figures called `name` that have rows, each below its sentence."""
    comparison = name.removesuffix("-several-sources")
    parts = [
        f"# Several sources at once, `{comparison}.yaml`",
        f"Made by `python -m benchmarks.methods.several_sources benchmarks/methods/{comparison}.json --work DIR`. Per\n"
        "cent, mean over seeds with the lowest and the highest in brackets.",
        _kinds(figures),
        _counts(figures),
    ]
    for make in TABLES:
        if len(table := make(figures)) > HEAD:
            parts += [inspect.getdoc(make), "\n".join(table)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(figures: Mapping[str, Any], columns: Columns, maps: str | None = None) -> list[str]:
    """A row for each entry that was scored so, best first by the first column; floors and ceiling below. maps: what
    of a line says what its maps are of."""
    entries, chosen, first = _entries(figures, columns), figures["chosen_temperatures"], next(iter(columns.values()))
    rows = [
        [f"{entry} ({chosen[entry]})" if chosen[entry] else entry, *([lines[0][maps]] if maps else [])]
        + [spread(_values(lines, column)) for column in columns.values()]
        for entry, lines in sorted(entries.items(), key=lambda named: -fmean(_values(named[1], first)))
    ]
    protocol, blank = first[0], [""] if maps else []
    known = figures["context"].get(protocol, {"floors": {}, "ceiling": {}})
    beside = {called(name): scores for name, scores in known["floors"].items()} | {"ceiling": known["ceiling"]}
    cells = {name: [_cell(scores, score) for _, score in columns.values()] for name, scores in beside.items()}
    rows += [[name, *blank, *own] for name, own in cells.items() if any(own)]
    return markdown(["method (temperature)", *(["a map for each"] if maps else []), *columns], rows if entries else [])


def _entries(figures: Mapping[str, Any], columns: Columns) -> dict[str, list[Mapping[str, Any]]]:
    """Entry -> its runs that have all of these scores."""
    found = defaultdict[str, list[Mapping[str, Any]]](list)
    for line in figures["rows"]:
        if all(score in line["scores"].get(protocol, {}) for protocol, score in columns.values()):
            found[line["entry"]].append(line)
    return dict(found)


def _values(lines: Iterable[Mapping[str, Any]], column: tuple[str, str]) -> list[float]:
    protocol, score = column
    return [line["scores"][protocol][score] for line in lines]


def _cell(scores: Mapping[str, float | None], score: str) -> str:
    value = scores.get(score)
    return "" if value is None else percent(value)


def _kinds(figures: Mapping[str, Any]) -> str:
    """Which methods give what, and what was not there to be asked."""
    rows = figures["rows"]
    apart, whole = (_named(row for row in rows if row["maps_of_mixtures"] == kind) for kind in ("source", "mixture"))
    classes = _named(row for row in rows if row["maps_of_collages"] == "class")
    without = {row["entry"]: " and ".join(row["lacking"]) for row in rows if row["lacking"]}
    lacking = [f"{name} ({what})" for name, what in without.items()]
    said = {
        "Of a mixture these give a map for each source": apart,
        "Of a mixture these give one map": whole,
        "Of a collage these have maps of classes of their own; others are asked with a sound of each class": classes,
        "The collages' shards lack what these need beside image and sound": lacking,
        "No finished run was there of": figures["not_there"],
    }
    return "\n".join(f"- {start}: {', '.join(names)}." for start, names in said.items() if names)


def _named(rows: Iterable[Mapping[str, Any]]) -> Sequence[str]:
    return list(dict.fromkeys(row["entry"] for row in rows))


def _counts(figures: Mapping[str, Any]) -> str:
    """How many mixtures and collages were scored."""
    return " ".join(
        f"`{name}`: {known['n_scored']} of {known['n_expected']}." for name, known in figures["context"].items()
    )
