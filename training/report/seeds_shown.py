"""Which seeds of a configuration a line of a table is of, and why others are not among them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from training.report.results import Evaluation, Run
from training.run_names import configuration_of, seed_of

Result = tuple[Run, Evaluation]
Found = TypeVar("Found")


def by_configuration(found: Iterable[Found], result: Callable[[Found], Result]) -> list[list[Found]]:
    """What differs by the seed alone, together; maps combined with another object prior, or by another alpha, apart."""
    together: dict[object, list[Found]] = {}
    for one in found:
        run, evaluation = result(one)
        alike = run.configuration, evaluation.is_early_stopped, evaluation.object_prior
        together.setdefault(alike, []).append(one)
    return list(together.values())


@dataclass(frozen=True)
class SeedsShown:
    """`count` results of runs that differ by their seed alone; `absent` says of every other seed why it has none."""

    name: str
    count: int
    absent: tuple[str, ...]

    @classmethod
    def of(cls, shown: Sequence[Result], runs: Sequence[Run], unfinished: Sequence[Path]) -> "SeedsShown":
        """The seeds of `shown`, results of one configuration that share a table, among all given.

        `unfinished` are the folders of runs that are still to be finished.
        """
        first, evaluation = shown[0]
        there = {run.path for run, _ in shown}
        others = [run for run in runs if run.configuration == first.configuration and run.path not in there]
        begun = [folder for folder in unfinished if _are_seeds(folder, first.path)]
        absent = [f"{_named(run.seed, run.path)} {_why(run, evaluation)}" for run in others]
        absent += [f"{_named(seed_of(folder.name), folder)} is not finished" for folder in begun]
        apart = [one for run in others for one in run.every_evaluation if _only_prior_differs(one, evaluation)]
        words = [first.name, *(["best epoch"] if evaluation.is_early_stopped else [])]
        words += [_prior_in_words(evaluation)] if apart else []
        return cls(", ".join(words), len(shown), tuple(absent))

    @property
    def notes(self) -> list[str]:
        """A sentence about the seeds that have no part in the numbers; none where no seed is absent."""
        if not self.absent:
            return []
        return [f"{self.name} stands for {self.in_words(self.count)}: {', '.join(self.absent)}."]

    def in_words(self, count: int) -> str:
        """So many seeds, and of how many where that is not all."""
        every = self.count + len(self.absent)
        return f"{count} seeds" if count == every else f"{count} of {every} seeds"


def _are_seeds(one: Path, other: Path) -> bool:
    """Whether two folders of runs differ by the seed alone."""
    beside = one.resolve().parent == other.resolve().parent
    return beside and configuration_of(one.name) == configuration_of(other.name)


def _named(seed: int | None, folder: Path) -> str:
    return f"seed {seed} ({folder.name})"


def _why(run: Run, shown: Evaluation) -> str:
    """Why a run has no part in a table of results like the one shown."""
    if any(_only_prior_differs(one, shown) for one in run.every_evaluation):
        return "was scored with another object prior or alpha, in a line of its own"
    like = [one for one in run.every_evaluation if one.is_early_stopped == shown.is_early_stopped]
    if any((one.test_set, one.measured) == (shown.test_set, shown.measured) for one in like):
        return "has a result of other clips, truth or settings by these names, in a table of its own"
    return f"was not evaluated on {shown.test_set} under {shown.measured}"


def _only_prior_differs(one: Evaluation, other: Evaluation) -> bool:
    """Whether two results of a configuration could be of two seeds, but for the prior that maps were combined with."""
    alike = (one.comparable, one.is_early_stopped) == (other.comparable, other.is_early_stopped)
    return alike and one.object_prior != other.object_prior


def _prior_in_words(evaluation: Evaluation) -> str:
    prior = dict(evaluation.object_prior)
    return f"object prior {prior['kind']}, alpha {prior['alpha']}" if prior else "without a named object prior"
