"""Which seeds of a configuration a line of a table is of, why others are not among them, and a number over seeds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TypeVar

from manifests.commands.counting import counted
from training.evaluation.stored import PRIOR, SOURCES, WEIGHTS, names_weights
from training.report.results import Evaluation, Run
from training.run_folders.names import configuration_of, seed_of
from training.run_folders.seeds import is_begun

Result = tuple[Run, Evaluation]
Found = TypeVar("Found")


def by_configuration(found: Iterable[Found], result: Callable[[Found], Result]) -> list[list[Found]]:
    """What differs by the seed alone, together, of each run one result. Results of other shards, pairs, reference
    sounds or another object prior or alpha stand apart."""
    together: dict[object, dict[Path, Found]] = {}
    for one in found:
        run, evaluation = result(one)
        alike = run.configuration, evaluation.is_early_stopped, evaluation.made_of
        together.setdefault(alike, {}).setdefault(run.path, one)
    return [list(own.values()) for own in together.values()]


@dataclass(frozen=True)
class OverSeeds:
    """A number over seeds: its mean, the lowest and the highest, and the standard deviation (of the sample: divided by
    one less than there are seeds; None of a single seed)."""

    mean: float
    low: float
    high: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "OverSeeds":
        """Of a value for each seed, of one or more."""
        return cls(fmean(values), min(values), max(values), stdev(values) if len(values) > 1 else None)

    def in_words(self, shown: Callable[[float], str]) -> str:
        """The mean, behind it the standard deviation, then the lowest and the highest where there are several."""
        if self.deviation is None:
            return shown(self.mean)
        return f"{shown(self.mean)} ± {shown(self.deviation)} ({shown(self.low)} .. {shown(self.high)})"


@dataclass(frozen=True)
class SeedsShown:
    """`count` results of runs that differ by their seed alone; `absent` says of every other seed why it has none,
    `equal` names those of the same weights together."""

    name: str
    count: int
    absent: tuple[str, ...]
    equal: tuple[str, ...]

    @classmethod
    def of(cls, shown: Sequence[Result], runs: Sequence[Run], unfinished: Sequence[Path]) -> "SeedsShown":
        """The seeds of `shown`, results of one configuration that share a table, among all given.

        `unfinished` are the folders of runs that are still to be finished or begun.
        """
        first, evaluation = shown[0]
        there = {run.path for run, _ in shown}
        others = [run for run in runs if run.configuration == first.configuration and run.path not in there]
        left = [folder for folder in unfinished if _are_seeds(folder, first.path)]
        absent = [f"{_named(run.seed, run.path)} {_why(run, evaluation)}" for run in others]
        absent += [_left(folder) for folder in left]
        apart = [one for run in others for one in run.every_evaluation if _made_otherwise(one, evaluation)]
        words = [first.name, *(["best epoch"] if evaluation.is_early_stopped else []), *_told_apart(evaluation, apart)]
        return cls(", ".join(words), len(shown), tuple(absent), _equal_weights(shown))

    @property
    def notes(self) -> list[str]:
        """Sentences about the seeds that have no part in the numbers, and about those that may be no further ones."""
        absent = [f"{self.name} stands for {self.in_words(self.count)}: {', '.join(self.absent)}."]
        return (absent if self.absent else []) + [
            f"{named} of {self.name} were scored with the same weights: unless nothing in them is trained, they are "
            "copies of one seed, which counts several times here."
            for named in self.equal
        ]

    def in_words(self, count: int) -> str:
        """So many seeds, and of how many where that is not all."""
        every = self.count + len(self.absent)
        return counted(count, "seed") if count == every else f"{count} of {every} seeds"


def _equal_weights(shown: Sequence[Result]) -> tuple[str, ...]:
    """The seeds that were scored with the same file of weights, together. Weights of today carry their seed; those of
    earlier versions may have been copied from one run into another."""
    together: dict[str, list[str]] = {}
    for run, evaluation in shown:
        if names_weights(evaluation.facts):
            sha256 = str(evaluation.facts["lists"][WEIGHTS].get("sha256", run.path))
            together.setdefault(sha256, []).append(_named(run.seed, run.path))
    return tuple(" and ".join(named) for named in together.values() if len(named) > 1)


def _are_seeds(one: Path, other: Path) -> bool:
    """Whether two folders of runs differ by the seed alone."""
    beside = one.resolve().parent == other.resolve().parent
    return beside and configuration_of(one.name) == configuration_of(other.name)


def _named(seed: int | None, folder: Path) -> str:
    return f"seed {seed} ({folder.name})"


def _left(folder: Path) -> str:
    """Why a run has no result anywhere."""
    seed = seed_of(folder.name)
    if is_begun(folder):
        return f"{_named(seed, folder)} is not finished"
    return f"seed {seed} was asked for and never begun"


def _why(run: Run, shown: Evaluation) -> str:
    """Why a run has no part in a table of results like the one shown."""
    if other := [one for one in run.every_evaluation if _made_otherwise(one, shown)]:
        return f"was scored with {', '.join(_told_apart(other[0], [shown]))}, in a line of its own"
    like = [one for one in run.every_evaluation if one.is_early_stopped == shown.is_early_stopped]
    if any((one.test_set, one.measured) == (shown.test_set, shown.measured) for one in like):
        return "has a result of other clips, truth or settings by these names, in a table of its own"
    return f"was not evaluated on {shown.test_set} under {shown.measured}"


def _made_otherwise(one: Evaluation, other: Evaluation) -> bool:
    """Whether two results of a configuration could be of two seeds, but for what they were made of."""
    alike = (one.comparable, one.is_early_stopped) == (other.comparable, other.is_early_stopped)
    return alike and one.made_of != other.made_of


def _told_apart(evaluation: Evaluation, others: Sequence[Evaluation]) -> list[str]:
    """What a result was made of, where others were made of something else."""
    own, differ = evaluation.sources, [one.sources for one in others]
    told = [name for name in SOURCES if any(each.get(name) != own.get(name) for each in differ)]
    return [_in_words(name, own.get(name)) for name in told]


def _in_words(name: str, source: Mapping[str, str] | None) -> str:
    if source is None:
        return f"no {name.replace('_', ' ')} named"
    if name == PRIOR:
        return f"object prior {source['kind']}, alpha {source['alpha']}"
    return f"{name} {source['name']}"
