"""What papers print, beside runs that repeat them and in lines of their own, each under its set and protocol only.

A column refuses what its rule cannot give: under the top half of the image no map passes 50.54 on VGG-SS, so a larger
number was made by another rule and is named in a note instead. That holds for a config's numbers as for the file's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from training.evaluation.consistency import ROUNDING, impossible
from training.evaluation.scores import score_of, task_values
from training.published import Entry, Printed, every_row, rows_of
from training.report.doubts import doubts
from training.report.results import Evaluation, Run

HELD_TO = {  # another epoch's, the positives', the best of several thresholds: no larger than any map's
    "ciou50_last": "ciou50", "locacc": "ciou50", "ciou50_best_on_test": "ciou50", "auc_best_on_test": "auc",
}  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """What papers print for one result of a run, and a sentence for each number that its rule cannot give."""

    rows: tuple[Printed, ...]
    refused: tuple[str, ...]

    def scores(self, map_name: str) -> dict[str, float]:
        """Every score that is printed for this map, as fractions."""
        return {score: float(value) for row in self.rows if row.map == map_name for score, value in row.scores.items()}

    @property
    def entries(self) -> list[Entry]:
        """Those of the file, each once."""
        return list({row.entry.name: row.entry for row in self.rows if row.entry is not None}.values())


def beside(run: Run, evaluation: Evaluation) -> Beside:
    """What papers print for a result of this run.

    Nothing where the set bears a released set's name without being it: its numbers cannot stand beside the paper's.
    """
    if not evaluation.is_what_it_says:
        return Beside((), ())
    kept, refused = admitted(_measured(rows_of(run.config), evaluation), task_values(evaluation.facts["ceiling"]))
    return Beside(tuple(kept), tuple(refused))


def alone(found: Sequence[tuple[Run, Evaluation]], most: Evaluation) -> tuple[list[Printed], list[str]]:
    """Rows of the file for a table of its own results, `most` the one of most clips, and a sentence for each refused.

    Without those that stand beside one of the runs, and without ablations.
    """
    if not most.is_what_it_says:
        return [], []
    there = {
        (row.title, row.map) for run, one in found for row in beside(run, one).rows if row.map in one.facts["scores"]
    }
    others = (row for row in every_row() if not row.is_ablation and (row.title, row.map) not in there)
    return admitted(_measured(others, most), task_values(most.facts["ceiling"]))


def admitted(rows: Iterable[Printed], ceiling: Mapping[str, float]) -> tuple[list[Printed], list[str]]:
    """The rows that the rule of a column can give, and a sentence for each that it cannot."""
    kept, refused = [], []
    for row in rows:
        beyond = [name for name, value in row.scores.items() if _is_beyond(name, value, ceiling)]
        if beyond:
            refused.append(_refusal(row, beyond[0], ceiling[_held_to(beyond[0])]))
        else:
            kept.append(row)
    return kept, refused


def said(run: Run, title: str, evaluation: Evaluation) -> Iterator[str]:
    """What must be known of the published numbers beside a result, a sentence each."""
    papers = beside(run, evaluation)
    yield from papers.refused
    for name in evaluation.facts["scores"]:
        paper = papers.scores(name)
        ciou50, auc, max_f1, located = (paper.get(key) for key in ("ciou50", "auc", "max_f1", "locacc"))
        for fault in impossible(ciou50, auc, max_f1, located):
            yield f"{title}, published: {fault}"
        for doubt in doubts(run.method, evaluation.test_set, paper):
            yield f"{title}, published: {doubt}"
    yield from (entry.note for entry in papers.entries)


def _measured(rows: Iterable[Printed], evaluation: Evaluation) -> Iterator[Printed]:
    """The rows that were measured as this result was."""
    for row in rows:
        clips = None if row.entry is None else row.entry.clips
        same = (row.test_set, row.protocol) == (evaluation.test_set, evaluation.protocol)
        if same and clips in (None, evaluation.facts["n_expected"]):
            yield row


def _held_to(score: str) -> str:
    return HELD_TO.get(score, score)


def _is_beyond(score: str, value: float, ceiling: Mapping[str, float]) -> bool:
    best = ceiling.get(_held_to(score))
    if best is None:
        return False
    return (value - best if score_of(_held_to(score)).higher_is_better else best - value) > ROUNDING


def _refusal(row: Printed, score: str, best: float) -> str:
    known = score_of(_held_to(score))
    side, most = ("above", "most") if known.higher_is_better else ("below", "least")
    return (
        f"{row.title} is refused: {score} {known.shown(row.scores[score])} lies {side} {known.shown(best)}, the {most} "
        "that any map reaches under this protocol. It was measured by another rule."
    )
