"""Scores as the page shows them: one table per test set and protocol, floors above, ceiling below, every run between.

Numbers are comparable only under the same protocol, test set and truth list, so `Evaluation.comparable` decides which
share a table; two protocols never do. All values are fractions here and percent on the page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.commands.counting import counted, have
from manifests.views import IN_WORDS
from training.evaluation.floors import CENTRED_DISC, RANDOM, WHOLE_IMAGE
from training.evaluation.postprocess import AUDIO_VISUAL, COMBINED, MAPS, OBJECT_PRIOR
from training.evaluation.printing import left_out_in_words, missing_in_words, ties_in_words, trained_in_words
from training.report.papers import beside, said
from training.report.results import SCORES, Evaluation, Run, fullest
from training.report.seeds_shown import OverSeeds, SeedsShown, by_configuration

MAP_TITLES = {AUDIO_VISUAL: "audio-visual", OBJECT_PRIOR: "object prior", COMBINED: "combined"}
FLOOR_TITLES = {
    CENTRED_DISC: "centred disc",
    WHOLE_IMAGE: "whole image",
    RANDOM: "random map",
    OBJECT_PRIOR: "object prior alone",
}


@dataclass(frozen=True)
class Number:
    """A score with the ends of its interval, all fractions; of a mean over seeds with their standard deviation."""

    value: float
    low: float | None = None
    high: float | None = None
    deviation: float | None = None

    @classmethod
    def over_seeds(cls, values: Sequence[float]) -> "Number":
        """The mean, whose interval is the range of the seeds."""
        over = OverSeeds.of(values)
        return cls(over.mean, over.low, over.high, over.deviation)


@dataclass(frozen=True)
class Row:
    """One line of a table. `numbers` and `published` are keyed by score name; `share` is the gap closed."""

    title: str
    numbers: Mapping[str, Number]
    share: Number | None = None
    published: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Group:
    """Lines that belong together: `kind` is floor, run, mean or ceiling; `scored` is "n of n expected" for a run."""

    title: str
    rows: tuple[Row, ...]
    kind: str
    colour: int | None = None
    scored: str = ""


@dataclass(frozen=True)
class Table:
    """One test set under one protocol; `measured` names it and the view, `shown` says the view in words.

    `groups` are floors, then configurations best first, then the ceiling; one that was trained with several seeds
    stands there as their mean, and its runs are in `seeds`.
    """

    test_set: str
    protocol: Mapping[str, Any]
    measured: str
    shown: str
    truth: Mapping[str, Any]
    groups: tuple[Group, ...]
    seeds: tuple[Group, ...]
    floor_title: str
    floor: float
    ceiling: float
    warnings: tuple[str, ...]

    @property
    def has_published(self) -> bool:
        return any(row.published for group in self.groups for row in group.rows)

    @property
    def has_seed_means(self) -> bool:
        return any(group.kind == "mean" for group in self.groups)

    def best(self) -> tuple[str, Row] | None:
        """The line with the highest cIoU that has listened, with the title of its configuration."""
        deaf = MAP_TITLES[OBJECT_PRIOR]
        runs = [group for group in self.groups if group.kind in ("run", "mean")]
        lines = [(group.title, row) for group in runs for row in group.rows if row.title != deaf]
        return max(lines, key=lambda line: line[1].numbers["ciou50"].value, default=None)


@dataclass(frozen=True)
class Scored:
    """A run as it stands in one table; `colour` numbers the runs of the whole page."""

    run: Run
    title: str
    colour: int
    evaluation: Evaluation


def score_tables(runs: list[Run], titles: list[str], unfinished: Sequence[Path] = ()) -> list[Table]:
    """Every table the runs' evaluations allow, in the order test sets and protocols first appear.

    `unfinished` are folders of runs that are still to be finished: their seeds are named where others have a mean.
    """
    together: dict[tuple[str, str, str], list[Scored]] = {}
    for colour, (run, title) in enumerate(zip(runs, titles, strict=True)):
        for evaluation in run.evaluations:
            together.setdefault(evaluation.comparable, []).append(Scored(run, title, colour, evaluation))
    tables = together.values()
    return [_table(found, runs, unfinished) for found in sorted(tables, key=lambda found: _order(found[0].evaluation))]


def _order(evaluation: Evaluation) -> tuple[str, bool]:
    return evaluation.test_set, evaluation.protocol != "ezvsl"


def _table(found: list[Scored], runs: Sequence[Run], unfinished: Sequence[Path]) -> Table:
    most = fullest(one.evaluation for one in found)
    floors, ceiling = most.facts["floors"], _numbers(most.facts["ceiling"])
    floor_name = max(floors, key=lambda name: floors[name]["ciou50"])
    bounds = floors[floor_name]["ciou50"], ceiling["ciou50"].value
    single, means, repeated, absent = list[Group](), list[Group](), list[Group](), list[str]()
    for own in by_configuration(found, lambda one: (one.run, one.evaluation)):
        groups = [_run_group(one, floors, bounds) for one in own]
        seeds = SeedsShown.of([(one.run, one.evaluation) for one in own], runs, unfinished)
        absent += seeds.notes
        if len(own) == 1:
            single += groups
        else:
            repeated += groups
            means.append(_mean_group(groups, seeds))
    best_first = sorted([*means, *single], key=lambda group: -group.rows[0].numbers["ciou50"].value)
    return Table(
        test_set=most.test_set,
        protocol=most.facts["protocol"] | {"view": most.view},
        measured=most.measured,
        shown=IN_WORDS[most.view],
        truth=most.facts.get("lists", {}).get("truth", {}),
        groups=(_floor_group(floors), *best_first, _ceiling_group(ceiling)),
        seeds=tuple(repeated),
        floor_title=FLOOR_TITLES.get(floor_name, floor_name.replace("_", " ")),
        floor=bounds[0],
        ceiling=bounds[1],
        warnings=tuple(dict.fromkeys((*absent, *_warnings(found, most)))),
    )


def _numbers(scores: Mapping[str, Any]) -> dict[str, Number]:
    intervals = scores.get("interval95") or {}
    return {
        name: Number(float(scores[name]), *intervals.get(name, (None, None)))
        for name in SCORES
        if scores.get(name) is not None
    }


def _share(value: float, bounds: tuple[float, float]) -> Number | None:
    floor, ceiling = bounds
    return Number((value - floor) / (ceiling - floor)) if ceiling > floor else None


def _floor_group(floors: Mapping[str, Any]) -> Group:
    rows = [Row(FLOOR_TITLES.get(name, name.replace("_", " ")), _numbers(scores)) for name, scores in floors.items()]
    return Group("Floors: no learning from sound", tuple(rows), "floor")


def _ceiling_group(ceiling: Mapping[str, Number]) -> Group:
    return Group("Ceiling", (Row("best possible mask", ceiling),), "ceiling")


def _run_group(one: Scored, floors: Mapping[str, Any], bounds: tuple[float, float]) -> Group:
    """A run's maps, but for an object prior that stands among the floors already."""
    rows, scores = [], one.evaluation.facts["scores"]
    papers = beside(one.run, one.evaluation)
    for name in _maps_of(one.evaluation):
        if name == OBJECT_PRIOR and _same(scores[name], floors.get(OBJECT_PRIOR)):
            continue
        numbers = _numbers(scores[name])
        share = _share(numbers["ciou50"].value, bounds)
        rows.append(Row(MAP_TITLES[name], numbers, share, _shown(papers.scores(name))))
    scored = f"{one.evaluation.facts['n_scored']} of {one.evaluation.facts['n_expected']}"
    return Group(one.title, tuple(rows), "run", one.colour, scored)


def _shown(printed: Mapping[str, float]) -> dict[str, float]:
    return {score: printed[score] for score in SCORES if score in printed}


def _maps_of(evaluation: Evaluation) -> list[str]:
    return [name for name in MAPS if evaluation.facts["scores"].get(name)]


def _same(scores: Mapping[str, Any], others: Mapping[str, Any] | None) -> bool:
    return others is not None and all(scores[name] == others[name] for name in SCORES)


def _mean_group(groups: list[Group], seeds: SeedsShown) -> Group:
    """The means of one configuration over its seeds; the interval of a mean is their range."""
    rows: dict[str, list[Row]] = {}
    for row in (row for group in groups for row in group.rows):
        rows.setdefault(row.title, []).append(row)
    means = (_mean_row(title, own, seeds) for title, own in rows.items())
    return Group(f"{seeds.name}: mean of {seeds.in_words(len(groups))}", tuple(means), "mean")


def _mean_row(title: str, rows: list[Row], seeds: SeedsShown) -> Row:
    """A map's mean over the seeds that have it; every column has their spread."""
    numbers = {score: Number.over_seeds([row.numbers[score].value for row in rows]) for score in SCORES}
    shares = [row.share.value for row in rows if row.share is not None]
    said = f" ({seeds.in_words(len(rows))})" if len(rows) < seeds.count else ""
    return Row(f"{title}{said}", numbers, Number.over_seeds(shares) if shares else None, rows[0].published)


def _warnings(found: list[Scored], most: Evaluation) -> Iterable[str]:
    """What a reader must know before quoting a number of this table, in plain words."""
    if empty := most.facts.get("n_empty_truth"):
        yield f"{have(empty, 'clip')} an empty ground truth and count{'s' * (empty == 1)} as wrong in every row."
    for one in found:
        facts, title, evaluation = one.evaluation.facts, one.title, one.evaluation
        if not one.run.finished:
            yield f"{title} has not finished training (no DONE file): its numbers are of an unfinished model."
        if facts["n_scored"] < facts["n_expected"]:
            yield f"{title} scored {facts['n_scored']} of {facts['n_expected']} clips{missing_in_words(facts)}."
        elif facts["n_scored"] != most.facts["n_scored"]:
            scored = counted(facts["n_scored"], "clip")
            yield f"{title} was scored on {scored}, the floors here on {most.facts['n_scored']}."
        yield from (f"{title} {said}." for said in left_out_in_words(facts))
        yield from (f"{title}: {said}." for said in ties_in_words(facts))
        yield from (f"{title} {said}." for said in trained_in_words(facts))
        if not evaluation.is_what_it_says:
            yield f"{title}: these clips are not the released {evaluation.test_set}: no published number stands beside."
        yield from said(one.run, title, evaluation)
