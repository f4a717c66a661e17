"""A threshold of listening from other clips than those that are tested: of an earlier result of the run on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from manifests.checksums import file_sha256
from manifests.errors import InputError
from manifests.parquet import read_table
from manifests.truth import Truth
from manifests.views import VIEWS
from training.evaluated import results_folder
from training.evaluation.control_protocols import ListeningProtocol
from training.evaluation.protocol import Protocol
from training.evaluation.stored import VALIDATION, read_result
from training.runs import LoadedRun

MEASURED_BY = "vssl_textbook"


@dataclass(frozen=True)
class Validation:
    """Thresholds by map, and the result that they are of, as it stands among the lists of what is made with them."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)

    def lists(self, protocol: Protocol) -> dict[str, dict[str, str]]:
        """What a result under the protocol depends on beside everything else."""
        return {VALIDATION: dict(self.source)} if asks_for_thresholds(protocol) else {}


def asks_for_thresholds(protocol: Protocol) -> bool:
    """Whether the protocol cuts at a threshold of other clips."""
    return isinstance(protocol, ListeningProtocol) and protocol.threshold_from == "validation"


def validation_of(run: LoadedRun, name: str | None, protocols: Sequence[Protocol], tested: Truth) -> Validation:
    """The thresholds of the run's result on the set called `name`. InputError where there is none, where it holds
    clips of the tested set, or where a threshold is asked for and no set is named, or the other way round."""
    asking = [protocol.name for protocol in protocols if asks_for_thresholds(protocol)]
    if bool(asking) != (name is not None):
        told = f"{asking[0]} takes its threshold from a validation set" if asking else f"Nothing asks for {name}"
        raise InputError(f"{told}. Give --threshold-set NAME together with --protocol vssl_validated.")
    if name is None:
        return Validation()
    view = run.config.evaluation.view
    path = results_folder(run) / f"{name}{'' if view == VIEWS[0] else f'.{view}'}.{MEASURED_BY}.json"
    if not path.is_file():
        raise InputError(
            f"{path} is not there: the run has not been asked on {name}. Evaluate it first on these clips, with "
            f"--test-set {name} --protocol {MEASURED_BY}."
        )
    thresholds = read_result(path).get("threshold", {}).get("of_all")
    if not thresholds:
        raise InputError(f"{path} is of an earlier version and has no threshold of all its clips. Evaluate again.")
    shared = set(read_table(path.with_suffix(".parquet"))["key"].to_pylist()) & set(tested.test_set.keys)
    if shared:
        raise InputError(
            f"{len(shared)} clips of {name} are tested as well, such as {min(shared)}: a clip would have a say in its "
            "own threshold. Name a set of other clips."
        )
    return Validation(thresholds, {"name": name, "sha256": file_sha256(path)})
