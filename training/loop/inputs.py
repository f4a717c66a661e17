"""Everything a run stands on, opened and checked before its first step; all that is wrong is said at once."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from index.arrays import MODALITIES, read_keys
from index.neighbours import MADE_BY, Neighbours
from manifests.catalogue import resolve
from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.files.given import is_there
from manifests.files.names import name_problem
from manifests.test_sets import Truth
from manifests.truth import find_format
from pipeline.shards.joined import open_shards
from pipeline.shards.record import FLAGS
from pipeline.shards.store import ShardStore
from training.config import Data, RunConfig
from training.data.beside import OF_IMAGES, Beside
from training.data.classes import Classes, classes_of
from training.data.order import Streams
from training.data.positives import Positives
from training.data.selection import Selection, select, train_list
from training.data.stream import TrainingStream
from training.distributed import Ranks
from training.evaluation.protocols import find_protocol
from training.evaluation.tasks import check_protocol, default_protocols
from training.leakage import TestLists, clips_sha256, find_tests, own_truth
from training.loop.best import check_choosing, refuse_training_clips, validation_truth
from training.loop.earlier_stage import Seen, take_over_weights
from training.loop.named import existing
from training.loop.training_pass import TrainingPass
from training.methods.contract import BaseMethod
from training.predict import object_prior_of
from training.run_folders.files import WEIGHTS
from training.run_folders.finished import resolve_run
from training.run_folders.identity import Contents
from training.runs import build_method
from training.settings.attempts import Mistakes

OF_POSITIVES = {"neighbours", "near_image", "near_audio", "exclusions"}  # what a method needs that neighbour lists give


@dataclass(frozen=True)
class Inputs:
    """What a run trains on and is held against. `validation` are the clips on which its best epoch is chosen, `earlier`
    what an earlier stage trained its first weights on."""

    tests: TestLists
    selection: Selection
    method: BaseMethod
    stream: TrainingStream
    validation: Truth | None
    contents: Contents
    earlier: Seen


def open_inputs(config: RunConfig, process: Ranks) -> Inputs:
    """Open all that a config names. InputError lists everything in it that cannot be used."""
    mistakes = Mistakes()
    attempt, data = mistakes.attempt, config.data
    store = attempt("data.shards", open_shards, data.shards)
    torch.manual_seed(config.seed)  # the same first weights in every process
    method = attempt("encoders", build_method, config)
    truth = _truth(config, mistakes)
    wanted = config.validation
    if wanted is not None:
        named = (
            attempt("validation.format", find_format, wanted.format),
            attempt("validation.truth", existing, wanted.truth),
        )
        wanted = None if None in named else wanted
    attempt("data.lists", _check_lists, data)
    attempt("data.drop_flagged", _check_flags, data, store)
    tests = _tests(config, truth, mistakes)
    selection = attempt(f"data.{'train_list' if data.train_list else 'split'}", _selection, config, store, tests)
    if store is None or tests is None:
        attempt("data.train_list", train_list, data)
    neighbours = attempt("data.neighbours", _neighbours, config, store, method)
    positives = attempt("data.k", _positives, config, store, method, selection, neighbours)
    attempt("data.neighbours", Positives.check, positives)
    attempt("method.name", _check_beside, config, store, selection, method)
    classes = attempt("method.name", _classes, config, store, selection, method)
    attempt("optim.batch_size", _check_parts, config, method)
    made = partial(_stream, config, process, positives, classes)
    stream = attempt("optim.batch_size", made, store, selection, method)
    _check_evaluation(config, truth, mistakes)
    validation = attempt("validation", validation_truth, wanted, tests, store)
    if config.validation is not None:
        attempt("validation.protocol", partial(check_choosing, config.validation.protocol, validation))
    earlier = attempt("init_from", take_over_weights, method, config.init_from, store) if config.init_from else Seen()
    attempt("validation", refuse_training_clips, validation, selection, store, earlier)
    mistakes.refuse(config.name)
    method.check_clips(TrainingPass(stream, method, data, process))
    known = tests.known_as(store.keys)
    return Inputs(known, selection, method, stream, validation, _contents(config, stream, neighbours), earlier)


# --- what is trained on ----------------------------------------------------------------------------------------------


def _tests(config: RunConfig, truth: Truth | None, mistakes: Mistakes) -> TestLists:
    """The test sets of a run; each entry of `data.exclude_test` is tried on its own, so that all typos are said."""
    folders = (config.data.lists,) if config.data.lists.is_dir() else ()
    before = len(mistakes.found)
    for given in config.data.exclude_test:
        mistakes.attempt("data.exclude_test", resolve, given, folders)
    refused = len(mistakes.found) > before
    return mistakes.attempt("data", partial(find_tests, truth=truth), None if refused else config)


def _check_lists(data: Data) -> None:
    """InputError where there is no such folder, unless nobody named one: lists are not needed."""
    if data.lists.is_dir() or (data.lists == Data().lists and not is_there(data.lists)):
        return
    raise InputError(
        f"{data.lists} is {'no folder' if data.lists.exists() else 'not there'}: known test sets would not be found, "
        f"and not be compared with the training clips. Correct the path; without lists leave it at {Data().lists}."
    )


def _check_flags(data: Data, store: ShardStore) -> None:
    """InputError for a flag that no clip can have."""
    known = {*FLAGS, *(flag for flags in store.table["flags"].to_pylist() for flag in flags or ())}
    for flag in data.drop_flagged:
        if flag not in known:
            raise InputError(
                f"there is no flag {flag!r}.{did_you_mean(flag, FLAGS)} The known ones are {', '.join(FLAGS)}."
            )


def _selection(config: RunConfig, store: ShardStore, tests: TestLists) -> Selection:
    return select(store, config.data, tests.known_as(store.keys).banned)


def _neighbours(config: RunConfig, store: ShardStore, method: BaseMethod) -> Neighbours | None:
    wanted = method.needs & OF_POSITIVES
    return Neighbours.open(config.data.neighbours, store.manifest_sha256) if wanted else None


def _positives(
    config: RunConfig, store: ShardStore, method: BaseMethod, selection: Selection, neighbours: Neighbours
) -> Positives:
    return Positives(store, neighbours, method.needs, set(selection.keys(store)), config.data.k)


def _stream(
    config: RunConfig,
    process: Ranks,
    positives: Positives | None,
    classes: Classes | None,
    store: ShardStore,
    selection: Selection,
    method: BaseMethod,
) -> TrainingStream:
    optim = config.optim
    streams = Streams(optim.batch_size, optim.replicas, max(1, config.data.workers))
    replicas = process.replicas(optim.replicas)
    given = (store, config.data, selection.mask, streams, config.seed, replicas, positives)
    whole = optim.negatives == "global"
    return TrainingStream(*given, needs=method.needs, classes=classes, whole=whole, burst=method.burst)


def _check_parts(config: RunConfig, method: BaseMethod) -> None:
    """InputError where losses are over fewer clips than the method can learn from."""
    optim, least = config.optim, method.least_clips
    parts = 1 if optim.negatives == "global" else optim.replicas
    if (clips := optim.batch_size // parts) < least:
        raise InputError(
            f"{config.method.name} learns nothing from a loss over fewer than {least} clips, and optim.batch_size "
            f"{optim.batch_size} over optim.replicas {optim.replicas} leaves {clips}. Raise optim.batch_size"
            + (", lower optim.replicas, or set optim.negatives=global." if parts > 1 else ".")
        )


def _classes(config: RunConfig, store: ShardStore, selection: Selection, method: BaseMethod) -> Classes | None:
    """What a method with labels learns. InputError where clips have no labels, or more than the method tells apart."""
    if "labels" not in method.needs:
        return None
    found = classes_of(store, selection.mask, config.data.label_groups)
    if method.classes is not None and len(found.names) > method.classes:
        raise InputError(
            f"the training clips have {len(found.names)} classes, and method.classes is {method.classes}. Raise it, or "
            "put labels together with data.label_groups (a csv label,group)."
        )
    return found


def _check_beside(config: RunConfig, store: ShardStore, selection: Selection, method: BaseMethod) -> None:
    """InputError where what the method needs of a clip was not ingested, or would not follow the image."""
    beside = Beside(store, method.needs, method.burst)
    if (seen := beside.kinds & OF_IMAGES) and config.data.image_policy != "none":
        raise InputError(
            f"{config.method.name} needs {', '.join(sorted(seen))}, which do not follow data.image_policy "
            f"{config.data.image_policy}; set it to none (crops, flips and data.colour_jitter are followed)."
        )
    if "burst" in beside.kinds and config.data.colour_jitter:
        raise InputError(
            f"{config.method.name} needs consecutive images, whose colours data.colour_jitter does not change alike; "
            "set it to 0."
        )
    beside.check(int(np.flatnonzero(selection.mask)[0]))


# --- what it is held against -----------------------------------------------------------------------------------------


def _truth(config: RunConfig, mistakes: Mistakes) -> Truth | None:
    """The annotations, where file and format are both there: each is said by itself."""
    wanted = config.evaluation
    format = mistakes.attempt("evaluation.format", find_format, wanted.format)
    path = mistakes.attempt("evaluation.truth", existing, wanted.truth)
    negatives = mistakes.attempt("evaluation.negatives", existing, wanted.negatives)
    absent = wanted.negatives is not None and negatives is None
    return mistakes.attempt("evaluation.truth", own_truth, None if absent or None in (format, path) else config)


def check_evaluation(config: RunConfig) -> None:
    """InputError lists everything in the evaluation section that cannot be used."""
    mistakes = Mistakes()
    _check_evaluation(config, _truth(config, mistakes), mistakes)
    mistakes.refuse(config.name)


def _check_evaluation(config: RunConfig, truth: Truth | None, mistakes: Mistakes) -> None:
    wanted = config.evaluation
    # a set whose authors measure something else is not scored under the config's protocols
    of_config = truth is not None and default_protocols(truth, wanted.protocols) == wanted.protocols
    for name in wanted.protocols:
        mistakes.attempt("evaluation.protocols", partial(_check_protocol, name, truth if of_config else None))
    mistakes.attempt("evaluation.test_set", _check_test_set, wanted.test_set)
    mistakes.attempt("evaluation.object_prior", object_prior_of, config, torch.device("cpu"))


def _check_test_set(name: str) -> None:
    if problem := name_problem(name):
        raise InputError(f"it becomes a file's name in the run folder, and {name!r} {problem}. Give another.")


def _check_protocol(name: str, truth: Truth | None) -> None:
    if truth is None:
        find_protocol(name)
    else:
        check_protocol(name, truth)


# --- what identifies it ----------------------------------------------------------------------------------------------


def _contents(config: RunConfig, stream: TrainingStream, neighbours: Neighbours | None) -> dict[str, str]:
    """What lies at the config's places, see `training.run_folders.identity`."""
    store, encoders = stream.store, config.encoders
    trained = clips_sha256(store, np.flatnonzero(stream.selected))
    found = {"shards": store.manifest_sha256, "training_clips": trained}
    for name, source in (("image_weights", encoders.image.weights), ("audio_weights", encoders.audio.weights)):
        found[name] = file_sha256(Path(source)) if Path(source).is_file() else source
    if config.init_from is not None:
        found["earlier_stage"] = file_sha256(resolve_run(config.init_from) / WEIGHTS)
    if config.data.label_groups is not None:
        found["label_groups"] = file_sha256(config.data.label_groups)
    return found | ({} if neighbours is None else {"neighbours": _content_of(neighbours)})


def _content_of(neighbours: Neighbours) -> str:
    lists = [file_sha256(neighbours.folder / f"{name}.npy") for name in MODALITIES]
    keys = read_keys(neighbours.folder, MADE_BY)["key"].to_pylist()  # as they are stored
    return hashlib.sha256("\n".join([*lists, *keys]).encode()).hexdigest()
