"""What can be measured, one module for each task; the protocol's record names the task it belongs to.

`training evaluate` and `training score` both call `score`, so that a number made by either is the same number.

A module declares `SCORES` (see `scores`), `ANSWERS` (the record it scores) and `TAKES` (that in words),
`check(truth, protocol)` and `score(answers, truth, protocol, seed=, run=)` -> `Result`; `USES_NEGATIVES = False` says
that silent pairs change nothing. Where maps or embeddings that another program wrote can be scored it also has `ARRAYS`
and `OPTIONAL` (the arrays of a file that are needed, and those that are used where they are there) and
`read(arrays, alpha, protocol)` -> answers; and `found_in(names, truth, protocol)` -> position of every clip among the
names of a file, where these name something else than clips.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from manifests.errors import InputError
from manifests.test_sets import INTERACTIVE, LOCALIZATION, MULTI_SOURCE, RETRIEVAL, SEGMENTATION, Truth
from training.evaluation.found import found_modules
from training.evaluation.protocol import Protocol
from training.evaluation.protocols import find_protocol, known_protocols
from training.evaluation.raw_maps import match_names
from training.evaluation.results import Result

# what is measured on a set whose reader does not say: by the first of these tasks that it serves
BY_TASK = {
    INTERACTIVE: ("kaist", "adaptive"),
    MULTI_SOURCE: ("dsol",),
    SEGMENTATION: ("avsbench",),
    LOCALIZATION: (),  # the field's own: what the run's config says
    RETRIEVAL: ("retrieval",),
}
WITH_NEGATIVES = ("slavc_relative",)
FIELD = ("ezvsl", "adaptive")


def default_protocols(truth: Truth, usual: Sequence[str] = FIELD) -> tuple[str, ...]:
    """The names a set is scored under when nobody says: its authors' measurement, else `usual`.

    The reader of its format says what they measure, or the set's tasks do. The field's protocols stand in for an empty
    `usual`.
    """
    if truth.extended is not None:
        return WITH_NEGATIVES
    by_task = next((names for task, names in BY_TASK.items() if task in truth.tasks), ())
    return truth.protocols or by_task or tuple(usual) or FIELD


def task_of(protocol: Protocol) -> ModuleType:
    """The module of `tasks/` that scores by this protocol."""
    return found_modules("tasks")[protocol.task]


def found_in(names: Sequence[str], truth: Truth, protocol: Protocol) -> Mapping[str, int]:
    """The position of every clip of the truth among the names of a file that the protocol's task scores."""
    own = getattr(task_of(protocol), "found_in", None)
    return own(names, truth, protocol) if own else match_names(names, truth.test_set, truth.extended)


def as_measured(truth: Truth, protocol: Protocol) -> Truth:
    """The truth as a protocol looks at it: without silent pairs where its task has no use for them.

    Its result is then that of the set, and the same with and without them.
    """
    return truth if getattr(task_of(protocol), "USES_NEGATIVES", True) else replace(truth, extended=None)


def check_protocol(name: str, truth: Truth) -> Protocol:
    """The protocol; InputError when there is none of this name, or the truth has not what it measures."""
    protocol = find_protocol(name)
    task_of(protocol).check(truth, protocol)
    return protocol


def score(
    answers: Any, truth: Truth, protocol: str, *, temperature: float = 1.0, seed: int = 0, run: str | None = None
) -> Result:
    """Score answers (maps, clusters, similarities, pairs) under a named protocol.

    `temperature`: what the maps' cosines were divided by, which matters where a protocol scales by a fixed range.
    The result's protocol says how frames were shown (`truth.view`), as numbers of two views are two measurements. It
    counts frames that the truth has without a box, which no task scores.
    InputError when answers, truth and protocol do not belong together.
    """
    found = check_protocol(protocol, truth)
    task = task_of(found)
    if not isinstance(answers, task.ANSWERS):
        fitting = [name for name, other in known_protocols().items() if isinstance(answers, task_of(other).ANSWERS)]
        raise InputError(f"The protocol {protocol} takes {task.TAKES}. What is given suits {', '.join(fitting)}.")
    result = task.score(answers, truth, found.at_temperature(temperature), seed=seed, run=run)
    result.summary["protocol"]["view"] = truth.view
    if truth.music is not None:
        result.summary["n_without_boxes"] = len(truth.music.without_boxes)
    return result
