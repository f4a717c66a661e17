"""`training evaluate` of a run, or of every seed of a configuration: what each one scores, then mean and spread."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.console import first_of
from training.distributed import Ranks
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.printing import table
from training.evaluation.results import Result
from training.report.comparison import Comparison, as_text, comparisons
from training.report.results import Evaluation, Run, run_titles
from training.run_folders.files import COMMAND, CONFIG
from training.run_folders.finished import how_to_continue
from training.run_folders.seeds import every_seed, is_begun, unfinished_seeds
from training.runs import load_run
from training.settings.files import read_mapping


def evaluate_seeds(path: Path, request: EvaluationRequest, weights: str, process: Ranks) -> None:
    """Score a run, or the finished seeds below a folder one after another, and print what the first process has."""
    unfinished = unfinished_seeds(path)
    for left in unfinished if process.first else ():
        print(_why_not(left))
    scored, found = dict[Path, list[Result]](), every_seed(path)
    for number, one in enumerate(found):
        with first_of(len(found) - number):
            scored[one] = evaluate(load_run(one, process.device, weights), request, process)
        for result in scored[one] if process.first else ():
            print(table(result.summary))
    for means in means_of(scored, unfinished) if process.first and len(found) > 1 else ():
        print(f"\n{as_text(means)}")


def means_of(scored: Mapping[Path, Sequence[Result]], unfinished: Sequence[Path]) -> list[Comparison]:
    """These results, run folder -> results, as `training compare` shows them: a table per test set and protocol.

    What lies in the folders from earlier evaluations has no part in them; `unfinished` as for `comparisons`.
    """
    runs = [_run(folder, results) for folder, results in scored.items()]
    return comparisons(runs, run_titles(runs), unfinished=unfinished)


def _why_not(left: Path) -> str:
    """Why a seed is not evaluated, and what to do about it."""
    if is_begun(left):
        return f"{left} is not finished, so it is not evaluated; {how_to_continue(left)}."
    return (
        f"{left} was asked for and never begun, so it is not evaluated; the command that asked for it starts it "
        f"({COMMAND} in the folder of another seed)."
    )


def _run(folder: Path, results: Sequence[Result]) -> Run:
    found = tuple(Evaluation(folder, result.summary) for result in results)
    return Run(folder, read_mapping(folder / CONFIG), {}, (), found, finished=True)
