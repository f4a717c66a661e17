"""Runs side by side with what was published: one table per test set and protocol, whatever the measurement.

`training compare` prints these tables, and the page shows those that are not plain localization (retrieval, masks,
extended sets, images with several sounds). A column holds numbers of one measurement only: same set, same truth, same
protocol in every field. Published numbers stand beside the runs that repeat them, others in lines of their own.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from manifests.commands.counting import have
from manifests.errors import InputError
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.printing import (
    hears_in_words,
    left_out_in_words,
    missing_in_words,
    names_of_missing,
    share_heard,
    ties_in_words,
    trained_in_words,
    undefined_in_words,
)
from training.evaluation.scores import in_order, score_of, task_values, values_of
from training.report.papers import alone, beside, said
from training.report.results import Evaluation, Run, fullest
from training.report.seeds_shown import OverSeeds, SeedsShown, by_configuration

HEARS = "hears"


@dataclass(frozen=True)
class Line:
    """One map (or direction, or rule) of a run, a floor or the ceiling: values by score name, and the published.

    Of a configuration trained with several seeds the values are means, and `spreads` has the seeds behind each.
    """

    run: str
    map: str
    values: Mapping[str, float]
    published: Mapping[str, float]
    spreads: Mapping[str, OverSeeds] = field(default_factory=dict)

    @property
    def heard(self) -> str:
        """How much it listens, over its seeds where there are several; nothing where that is not known."""
        if HEARS not in self.values:
            return ""
        over = self.spreads.get(HEARS)
        return hears_in_words(over.in_words(share_heard) if over else share_heard(self.values[HEARS]))


@dataclass(frozen=True)
class Comparison:
    """One test set under one protocol and view; `scores` are the columns, in order."""

    test_set: str
    protocol: str
    measured: str
    scores: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


Found = tuple[Run, str, Evaluation]  # a result, with the run it is of and that run's title


def comparisons(
    runs: Sequence[Run], titles: Sequence[str], every: bool = True, unfinished: Sequence[Path] = ()
) -> list[Comparison]:
    """A table for each measurement the runs share; `every` False leaves out plain localization.

    `unfinished` are folders of runs that are still to be finished: their seeds are named where others have a mean.
    """
    together: dict[tuple[str, str, str], list[Found]] = {}
    for run, title in zip(runs, titles, strict=True):
        for evaluation in run.every_evaluation:
            if every or evaluation.is_special:
                together.setdefault(evaluation.comparable, []).append((run, title, evaluation))
    return [one_table(found, runs, unfinished) for found in together.values()]


def chosen(
    tables: Sequence[Comparison], runs: Sequence[Run], test_set: str | None, protocol: str | None
) -> list[Comparison]:
    """The tables of a test set and a protocol; None stands for any.

    InputError naming a run without any result, of no seed, or when no table is left.
    """
    evaluated = {run.configuration for run in runs if run.every_evaluation}
    bare = [str(run.path) for run in runs if run.configuration not in evaluated]
    if bare:
        raise InputError(f"There is nothing to compare of {', '.join(bare)}: run `training evaluate` on it first.")
    kept = [one for one in tables if test_set in (None, one.test_set) and protocol in (None, one.protocol)]
    if not kept:
        there = ", ".join(dict.fromkeys(f"{one.test_set} under {one.measured}" for one in tables))
        raise InputError(f"No run was evaluated on what is asked for. There is {there}.")
    return kept


def one_table(found: Sequence[Found], runs: Sequence[Run] = (), unfinished: Sequence[Path] = ()) -> Comparison:
    """Results in one table. InputError when they are of different measurements: no column may mix them.

    Of `runs` and `unfinished` (as for `comparisons`) the seeds that have no such result are noted.
    """
    first = found[0][2]
    for _, _, other in found:
        if other.comparable != first.comparable:
            raise InputError(
                f"{first.path.name} and {other.path.name} measure different things ({_named(first)}; {_named(other)}): "
                "their numbers cannot share a column. Evaluate both runs on the same truth under the same protocol."
            )
    most = fullest(evaluation for _, _, evaluation in found)
    lines = [
        Line("floor", name.replace("_", " "), task_values(scores), {}) for name, scores in most.facts["floors"].items()
    ]
    absent, heard = [], []
    for own, seeds in configurations(found, runs, unfinished):
        lines += _lines_of(own, seeds)
        absent += [*seeds.notes, *_not_shared(own, seeds)]
        heard += _heard(own, seeds)
        heard += [note for run, title, evaluation in own for note in _notes(run, title, evaluation)]
    ceiling = task_values(most.facts["ceiling"])
    papers, refused = alone([(run, evaluation) for run, _, evaluation in found], most)
    lines += [Line(row.title, row.map, {}, row.scores) for row in papers]
    lines.append(Line("ceiling", "best possible", ceiling, {}))
    scores = tuple(in_order(name for line in lines for name in (*line.values, *line.published)))
    notes = [*absent, *heard, *(row.entry.note for row in papers if row.entry is not None), *refused]
    notes = tuple(dict.fromkeys(notes))
    return Comparison(first.test_set, first.protocol, first.measured, scores, tuple(lines), notes)


def configurations(
    found: Iterable[Found], runs: Sequence[Run], unfinished: Sequence[Path]
) -> list[tuple[list[Found], SeedsShown]]:
    """Results that differ by their seed alone, together, and which seeds those are; arguments as of `one_table`."""
    together = by_configuration(found, lambda one: (one[0], one[2]))
    return [(own, SeedsShown.of([(run, result) for run, _, result in own], runs, unfinished)) for own in together]


def heard_lines(found: Sequence[Found], seeds: SeedsShown, needed: Collection[str] = (HEARS,)) -> list[Line]:
    """A line for each map of a configuration, of its mean over seeds; where not every seed has the scores that are
    needed, for each seed its own."""
    single = [line for one in found for line in _lines(*one)]
    lines = list[Line]()
    for mean in _lines_of(found, seeds):
        whole = all(score in mean.values for score in needed)
        lines += [mean] if whole else [line for line in single if line.map == mean.map]
    return lines


def as_text(table: Comparison) -> str:
    """The table for a terminal, in per cent; after a published number stands what ours is above it.

    After a mean over seeds stands their standard deviation, then the lowest and the highest.
    """
    heads = [score_of(score).heading for score in table.scores]
    rows = [("", "", heads)]
    for line in table.lines:
        rows.append((line.run, line.map.replace("_", " "), [_cell(line, score) for score in table.scores]))
    widths = [max(len(row[2][column]) for row in rows) for column in range(len(heads))]
    runs, maps = (max(len(row[side]) for row in rows) for side in (0, 1))
    body = [
        f"  {run:<{runs}}  {name:<{maps}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        for run, name, cells in rows
    ]
    title = (
        f"{table.test_set} under {table.measured} (per cent where no unit is named; in brackets: published, and ours "
        "minus published)"
    )
    return "\n".join([title, *body, *(f"  note: {note}" for note in table.notes)])


def _cell(line: Line, score: str) -> str:
    value, paper = line.values.get(score), line.published.get(score)
    shown = score_of(score).shown
    own = line.spreads[score].in_words(shown) if score in line.spreads else shown(value)
    if paper is None:
        return own
    return f"{own} [{shown(paper)}" + ("]" if value is None else f", {shown(value - paper, sign='+')}]")


def _lines_of(found: Sequence[Found], seeds: SeedsShown) -> list[Line]:
    """A line per map with the mean over the seeds that have it, for the scores all of these have."""
    if len(found) == 1:
        return _lines(*found[0])
    every = [line for run, _, evaluation in found for line in _lines(run, run.name, evaluation)]
    lines = []
    for name in dict.fromkeys(line.map for line in every):
        same = [line for line in every if line.map == name]
        shared = [score for score in same[0].values if all(score in line.values for line in same)]
        over = {score: OverSeeds.of([line.values[score] for line in same]) for score in shared}
        means = {score: own.mean for score, own in over.items()}
        title = f"{seeds.name}, {seeds.in_words(len(same))}"
        lines.append(Line(title, same[0].map, means, same[0].published, over if len(same) > 1 else {}))
    return lines


def _lines(run: Run, title: str, evaluation: Evaluation) -> list[Line]:
    title = f"{title}, best epoch" if evaluation.is_early_stopped else title
    papers = beside(run, evaluation)
    return [
        Line(title, name, values_of(evaluation.facts, name), papers.scores(name)) for name in evaluation.facts["scores"]
    ]


def _not_shared(found: Sequence[Found], seeds: SeedsShown) -> Iterable[str]:
    """Which scores have no mean, because a seed that has the map lacks them."""
    lines = [(run, line) for run, _, evaluation in found for line in _lines(run, run.name, evaluation)]
    for name in dict.fromkeys(line.map for _, line in lines):
        same = [(run, line) for run, line in lines if line.map == name]
        every = in_order(score for _, line in same for score in line.values)
        for run, line in same:
            if absent := [score_of(score).title for score in every if score not in line.values]:
                what = f"seed {run.seed} has no {', '.join(absent)} of {name.replace('_', ' ')}"
                yield f"{seeds.name}: {what}, so that there is no mean of it."


def _heard(found: Sequence[Found], seeds: SeedsShown) -> Iterable[str]:
    for line in heard_lines(found, seeds):
        if line.heard:
            yield f"{line.run}{'' if line.map == AUDIO_VISUAL else f', {line.map}'} {line.heard}."


def _notes(run: Run, title: str, evaluation: Evaluation) -> Iterable[str]:
    facts = evaluation.facts
    for control, pairs in facts.get("controls", {}).items():
        if without := pairs["without"]:
            named = names_of_missing(without)
            yield f"{title}: {have(len(without), 'clip')} no pair under {control} and no part in its numbers: {named}."
    if facts["n_scored"] < facts["n_expected"]:
        yield f"{title} scored {facts['n_scored']} of {facts['n_expected']}{missing_in_words(facts)}."
    if not evaluation.is_what_it_says:
        yield f"{title}: these clips are not the released {evaluation.test_set}, so no published number stands beside."
    yield from (f"{title} {said}." for said in left_out_in_words(facts))
    yield from (f"{title}: {said}." for said in (*ties_in_words(facts), *undefined_in_words(facts)))
    yield from (f"{title} {said}." for said in trained_in_words(facts))
    yield from said(run, title, evaluation)


def _named(evaluation: Evaluation) -> str:
    return f"{evaluation.test_set} under {evaluation.measured}"
