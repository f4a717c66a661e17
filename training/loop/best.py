"""The best checkpoint beside the last: chosen on a validation list, never on a test set.

EZ-VSL, FNAC and others report the epoch that was best on the test set, which flatters (LVS falls from 33.36 to 10.43
without it). Here the last epoch is the result. With `validation.truth` every epoch is scored on those clips, too; the
best one's weights are kept as `weights.best.safetensors`, and `training evaluate --weights best` shows what stopping
early would have given.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.annotations import TestSet
from manifests.commands.counting import counted
from manifests.errors import InputError
from manifests.files.content import read_object
from manifests.files.given import has_file
from manifests.files.whole import write_text
from manifests.test_sets import Truth
from manifests.truth import read_truth
from pipeline.shards.store import ShardStore
from training.config import RunConfig, Validation
from training.data.evaluation_pairs import found_pairings
from training.data.selection import Selection
from training.distributed import Ranks
from training.evaluation.localization import metric_names
from training.evaluation.needs import says_where
from training.evaluation.postprocess import AUDIO_VISUAL
from training.evaluation.protocol import MapProtocol, Protocol
from training.evaluation.protocols import find_protocol, known_protocols
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import check_protocol, score
from training.leakage import TestLists
from training.loop.earlier_stage import Seen
from training.loop.remembered import Memory, remembering
from training.methods.contract import BaseMethod
from training.predict import predict
from training.run_folders.files import BEST_WEIGHTS
from training.runs import LoadedRun, write_weights

CHOSEN_BY = "ciou50"  # of the audio-visual map: the score whose best epoch is kept


def history_file(view: str) -> str:
    """Where the scores of epochs stand: frames that are shown in another way are another validation set."""
    return "validation.json" if view == "squash" else f"validation.{view}.json"


class BestKeeper:
    """Called at the end of every epoch by the first process; `truth` are the clips of the validation section, `carried`
    is what the weights say of their run."""

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        store: ShardStore,
        truth: Truth,
        process: Ranks,
        carried: Mapping[str, Any],
    ) -> None:
        assert config.validation is not None, "only a run that validates keeps its best epoch"
        self.config, self.folder, self.store, self.process = config, folder, store, process
        self.protocol, self.carried = config.validation.protocol, carried
        self.truth, self.pairings = truth, found_pairings(store, truth)
        self.path = folder / history_file(config.evaluation.view)
        self._seen: Memory = {}  # frozen trunks make the same of these clips in every epoch
        self.history: dict[str, float] = read_object(self.path) if has_file(self.path) else {}

    def __call__(self, method: BaseMethod, step: int) -> None:
        """Score the method as it is after `step` steps; keep its weights when no earlier epoch was as good."""
        if str(step) in self.history:
            return
        method.eval()
        value = self._score(method)
        method.train()
        if value > max(self.history.values(), default=-1.0):
            write_weights(self.folder / BEST_WEIGHTS, method, self.carried)
        self.history[str(step)] = value
        write_text(self.path, json.dumps(self.history, indent=1))

    def _score(self, method: BaseMethod) -> float:
        store, device = self.store, self.process.device
        run = LoadedRun(self.folder, self.config, method, store.front_end, store.manifest_sha256, device)
        with remembering(method, self._seen):
            found = predict(run, store, self.pairings)
        truth = self.truth.seen_as(self.config.evaluation.view, found.parts)
        result = score(RawMaps(found.names, found.maps), truth, self.protocol)
        return float(result.summary["scores"][AUDIO_VISUAL][CHOSEN_BY])


def check_choosing(protocol: str, truth: Truth | None) -> None:
    """InputError for a protocol that cannot choose an epoch, or measures what the truth has not."""
    if not _chooses(find_protocol(protocol)):
        able = [name for name, known in known_protocols().items() if _chooses(known)]
        raise InputError(
            f"an epoch is chosen by the cIoU@0.5 of its maps, which {protocol} does not measure. Choose by one of "
            f"{', '.join(able)}; the finished run can be evaluated under any other."
        )
    if truth is None:
        return
    if not says_where(truth):
        raise InputError(
            f"an epoch is chosen by where its maps say the sound is, and {truth.test_set.source} says when something "
            f"sounds only: {truth.format} has no boxes. Give annotations with boxes as validation.truth."
        )
    check_protocol(protocol, truth)


def _chooses(protocol: Protocol) -> bool:
    if not isinstance(protocol, MapProtocol) or protocol.task != MapProtocol.task or protocol.asks != "maps":
        return False
    return metric_names(protocol.iou_cut)[0] == CHOSEN_BY


def validation_truth(wanted: Validation, tests: TestLists, store: ShardStore) -> Truth:
    """The clips epochs are chosen on, in the shards' names. InputError when any is a test clip, or none is there."""
    truth = read_truth(wanted.truth, wanted.format, name="validation").known_as(store.keys)
    _refuse_test_clips(truth.test_set, tests.known_as(store.keys))
    keys = truth.test_set.keys
    if not set(keys) & set(store.keys):
        raise InputError(
            f"none of the {len(keys)} clips of {truth.test_set.source} is in {store.folder} (the first wanted is "
            f"{keys[0]!r}, the first there {store.keys[0]!r}). Ingest their videos into the same shards, or correct "
            "validation.truth."
        )
    return truth


def refuse_training_clips(truth: Truth, selection: Selection, store: ShardStore, earlier: Seen) -> None:
    """InputError when any clip that epochs are chosen on is trained on, by this run or by its earlier stage."""
    chosen_on = truth.test_set
    if shared := set(chosen_on.keys) & {*selection.keys(store), *earlier.clips}:
        raise InputError(
            f"{len(shared)} of the {len(chosen_on.keys)} clips of validation.truth ({chosen_on.source}) are trained "
            f"on, first {min(shared)}: an epoch chosen on clips that were learned says nothing of others. Choose on "
            "other clips, or train on a data.train_list without these."
        )


def _refuse_test_clips(chosen_on: TestSet, tests: TestLists) -> None:
    for test in (*tests.excluded, *tests.others):
        shared = set(chosen_on.keys) & set(test.ids)
        if shared:
            raise InputError(
                f"validation.truth ({chosen_on.source}) has {counted(len(shared), 'test clip')} of {test.name}, first "
                f"{min(shared)}: an epoch chosen so would make the test score mean nothing. Choose on other clips."
            )
