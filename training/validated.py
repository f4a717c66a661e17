"""Thresholds from other clips than those that are tested: of an earlier result of the run on a validation set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests.commands.counting import are
from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.files.given import has_file
from manifests.files.parquet import read_table
from manifests.test_sets import Truth
from manifests.views import VIEWS
from training.evaluated import results_folder
from training.evaluation.protocol import Protocol
from training.evaluation.stored import VALIDATION, read_result
from training.evaluation.tasks.onscreen import DISTANCE
from training.runs import LoadedRun

# by the protocol of the earlier result: the thresholds that its summary says, by what they cut
SAID: dict[str, Callable[[dict[str, Any]], Mapping[str, float]]] = {
    "vssl_textbook": lambda summary: summary.get("threshold", {}).get("of_all") or {},
    "onscreen": lambda summary: {DISTANCE: summary["m_on"]},
}


@dataclass(frozen=True)
class Validation:
    """Thresholds by what they cut (a map, a distance), and by protocol the result that they are of, as it stands among
    the lists of what is made with them."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def lists(self, protocol: Protocol) -> dict[str, dict[str, str]]:
        """What a result under the protocol depends on beside everything else."""
        return {VALIDATION: dict(self.sources[protocol.fitted_by])} if protocol.fitted_by else {}


def validation_of(run: LoadedRun, name: str | None, protocols: Sequence[Protocol], tested: Truth) -> Validation:
    """The thresholds of the run's results on the set called `name`. InputError where there is none, where it holds
    clips of the tested set, or where a threshold is asked for and no set is named, or the other way round."""
    asking = {protocol.fitted_by: protocol.name for protocol in protocols if protocol.fitted_by}
    if bool(asking) != (name is not None):
        own = next(iter(asking.values()), None)
        told = f"{own} takes its threshold from a validation set" if own else f"Nothing asks for {name}"
        wanted = own or "vssl_validated or onscreen_validated"
        raise InputError(f"{told}. Give --threshold-set NAME together with --protocol {wanted}.")
    if name is None:
        return Validation()
    paths = {measured_by: _result(run, name, measured_by, tested) for measured_by in asking}
    thresholds = dict[str, float]()
    for measured_by, path in paths.items():
        thresholds |= _said(path, measured_by)
    sources = {by: {"name": name, "sha256": file_sha256(path)} for by, path in paths.items()}
    return Validation(thresholds, sources)


def _result(run: LoadedRun, name: str, measured_by: str, tested: Truth) -> Path:
    """The run's result on the set under the protocol. InputError without one, or where it shares clips."""
    view = run.config.evaluation.view
    path = results_folder(run) / f"{name}{'' if view == VIEWS[0] else f'.{view}'}.{measured_by}.json"
    if not has_file(path):
        raise InputError(
            f"{path} is not there: the run has not been asked on {name}. Evaluate it first on these clips, with "
            f"--test-set {name} --protocol {measured_by}."
        )
    shared = set(read_table(path.with_suffix(".parquet"))["key"].to_pylist()) & set(tested.test_set.keys)
    if shared:
        raise InputError(
            f"Of {name} {are(len(shared), 'clip')} tested as well, such as {min(shared)}: a clip would have a say in "
            "its own threshold. Name a set of other clips."
        )
    return path


def _said(path: Path, measured_by: str) -> Mapping[str, float]:
    thresholds = SAID[measured_by](read_result(path))
    if not thresholds:
        raise InputError(f"{path} is of an earlier version and has no threshold of all its clips. Evaluate again.")
    return thresholds
