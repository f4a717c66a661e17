"""`training evaluate`: the samples of a test set through a finished run, then through the scoring that serves any maps.

Writes `evaluation/<set>.maps.npz` (raw maps, as another program could score them) and, per set and protocol,
`evaluation/<set>.<protocol>.{json,parquet}` into the run folder. Under torchrun every process predicts its share of the
samples, none of them twice, and the first scores and writes.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from manifests.catalogue import read_clips
from manifests.content import read_content
from manifests.errors import InputError
from manifests.file_names import name_problem
from manifests.given_files import understood
from manifests.parquet import read_table
from manifests.published_sets import named_parts
from manifests.truth import USUAL_FORMAT, Truth
from manifests.whole_files import whole_file
from pipeline.console import progress
from pipeline.shards.joined import Folders
from pipeline.shards.store import ShardStore
from training.answers import Answered, under_controls
from training.class_labels import trained_classes
from training.data.control_pairs import control_pairs, group_pairs
from training.data.evaluation_pairs import found_pairings, read_pairs, with_mismatches
from training.data.mixtures import mixture_pairs
from training.data.pairs import EvaluationPair
from training.distributed import Ranks
from training.evaluation.boxes import as_arrays
from training.evaluation.control_maps import ControlMaps
from training.evaluation.listening import LISTENING
from training.evaluation.metrics.interactive import classes_of
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import load_arrays
from training.evaluation.results import Result, content_id, file_name
from training.evaluation.stored import CONTROLS, RAW_MAPS, arrays_file, differing, read_result
from training.evaluation.tasks import as_measured, check_protocol, default_protocols, score
from training.evaluation.tasks.duets import cases_of
from training.methods.contract import HasClassMaps
from training.object_prior import has_prior, prior_facts
from training.predict import Predictions, object_prior_of, predict
from training.reference_sounds import asked_references
from training.runs import LoadedRun, open_run_shards
from training.trained_on import seen_by

CONTROLLED = {"controls", "controls_by_group"}  # what protocols ask for that show an image under other sounds
DEPENDS_ON = ("truth", "shards", "negatives", "pairs", "references")  # the lists that make an earlier result stand


@dataclass(frozen=True)
class EvaluationRequest:
    """What to score a run on; what is None comes from the run's config.

    `clips` are lists that each narrow the set to a result of its own (heard, unheard); `pairs` says which clips make a
    sample where the set does not name its samples as clips are named, `references` sounds of single instruments, under
    which the protocols of several maps a frame ask for every frame; `view` is how frames are shown; `listen` adds the
    protocols that ask whether a run follows the sound.
    """

    truth: Path | None = None
    format: str | None = None
    negatives: Path | None = None
    clips: tuple[Path, ...] = ()
    pairs: Path | None = None
    references: Path | None = None
    test_set: str | None = None
    protocols: tuple[str, ...] = ()
    shards: Folders | None = None
    view: str | None = None
    listen: bool = False


def evaluate(run: LoadedRun, request: EvaluationRequest, process: Ranks | None = None) -> list[Result]:
    """Score a run on one test set, and on its parts, under each protocol.

    The first process returns the results. Those made earlier from the same truth, pairs and shards are read.
    """
    run = run.viewing(request.view)
    truth, parts = _test_sets(run, request)
    protocols = _protocols(run, request, truth)
    store = open_run_shards(run, request.shards)
    if request.pairs is None:  # which say of every sample what clips it is made of
        truth, parts = truth.known_as(store.keys), tuple(part.known_as(store.keys) for part in parts)
    asked = [(part, protocol, as_measured(part, protocol)) for part in parts for protocol in protocols]
    made = [_finished(run, own, protocol.name, _lists(own, request, store)) for _, protocol, own in asked]
    if None not in made and all(_maps_are_whole(run, part, protocols) for part in parts):
        return [result for result in made if result is not None]
    seen = seen_by(run.folder)
    mixed = [case for part, protocol, _ in asked for case in cases_of(part, protocol)]
    answered = _answered(run, request, store, truth, protocols, mixed, process)
    if process is not None and not process.first:
        return []
    folder = _folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        own = answered.predictions.only(set(part.keys))
        save_maps(_arrays(run, part, RAW_MAPS), own, answered.as_shown(part))
        if answered.donors is not None:
            controls = under_controls(answered, part)
            save_controls(_arrays(run, part, CONTROLS), controls, answered.donors)
    results = []
    with progress(f"scoring {run.config.name}", len(asked), "results") as advance:
        for part, protocol, own in asked:
            answers = answered.answers(protocol, part)
            result = score(answers, answered.as_shown(own), protocol.name, run=_name(run))
            result.summary["lists"] |= _lists(own, request, store) | prior_facts(run.config.evaluation.object_prior)
            result.summary["lists"]["training"] = seen.against(part.test_set)
            result.summary["weights"] = run.weights
            result.write(folder)
            results.append(result)
            advance(1)
    for part in parts:
        _tell_what_was_made_otherwise(run, part)
    return results


def _answered(
    run: LoadedRun,
    request: EvaluationRequest,
    store: ShardStore,
    truth: Truth,
    protocols: tuple[Protocol, ...],
    mixed: Sequence[tuple[str, ...]],
    process: Ranks | None,
) -> Answered:
    """The run applied to every clip that any of the protocols needs, and to the mixtures of `mixed` ones."""
    asked = {protocol.asks for protocol in protocols}
    foreign = with_mismatches(truth) if "pairs" in asked else truth.extended
    pairs = read_pairs(request.pairs, store.keys) if request.pairs else None
    pairings = found_pairings(store, replace(truth, extended=foreign), pairs)
    references = asked_references(request.references, protocols, store.keys)
    if "labels" in asked and references is None and truth.classes is not None:
        trained_classes(run, truth.classes.numbers)
    method: object = run.method
    several = references.pairings(store, pairings) if references and not isinstance(method, HasClassMaps) else []
    controls, donors = _controls(pairings, truth, asked)
    wanted = pairings + several + controls + mixture_pairs(mixed, pairings)
    predictions = predict(run, store, wanted, object_prior_of(run.config, run.device), process)
    return Answered(run, store, pairings, predictions, foreign, references, donors)


def _controls(
    pairings: list[EvaluationPair], truth: Truth, asked: set[str]
) -> tuple[list[EvaluationPair], dict[str, dict[str, str]] | None]:
    """The controls that protocols ask for, and whose sounds they are; None where none asks."""
    if not asked & CONTROLLED:
        return [], None
    controls, donors = control_pairs(pairings, classes_of(truth))
    if "controls_by_group" in asked:
        more, chosen = group_pairs(pairings, truth.test_set.labels)
        controls, donors = controls + more, donors | chosen
    return controls, donors


def _name(run: LoadedRun) -> str:
    """What results call a run: `<config>/<hash>-s<seed>`."""
    return f"{run.folder.parent.name}/{run.folder.name}"


def _lists(part: Truth, request: EvaluationRequest, store: ShardStore) -> dict[str, dict[str, str]]:
    """What a result depends on beside the run, each by content hash."""
    lists = {
        "truth": {"name": part.test_set.name, "sha256": part.test_set.sha256},
        "shards": {"name": str(store.folder), "sha256": store.manifest_sha256},
    }
    if part.extended is not None:
        lists["negatives"] = {"name": part.extended.name, "sha256": part.extended.sha256}
    for name, given in (("pairs", request.pairs), ("references", request.references)):
        if given is not None:
            lists[name] = {"name": given.name, "sha256": read_content(given).sha256}
    return lists


def _folder(run: LoadedRun) -> Path:
    """Where results of these weights are written: those of the last epoch lie at the top."""
    top = run.folder / "evaluation"
    return top if run.weights == "last" else top / run.weights


def _file_name(run: LoadedRun, part: Truth) -> str:
    negatives = part.extended.sha256 if part.extended is not None else None
    content = content_id(part.test_set.sha256, negatives)
    return file_name(_folder(run), part.name, content, run.config.evaluation.view)


def _arrays(run: LoadedRun, part: Truth, kind: str) -> Path:
    return arrays_file(_folder(run), _file_name(run, part), kind)


def _finished(run: LoadedRun, part: Truth, protocol: str, lists: dict[str, dict[str, str]]) -> Result | None:
    """An earlier result of this part, when everything it depends on is what it was."""
    path = _folder(run) / f"{_file_name(run, part)}.{protocol}.json"
    if not path.is_file():
        return None
    try:
        facts = read_result(path)
        with understood(path, "or its table is damaged"):
            before, now = (
                [each.get(name, {}).get("sha256") for name in DEPENDS_ON] for each in (facts["lists"], lists)
            )
            if before != now or not has_prior(facts, run.config.evaluation.object_prior):
                return None
            return Result(read_table(path.with_suffix(".parquet")), facts)
    except InputError as damage:
        print(f"{damage} It is made again.", flush=True)
        return None


def _tell_what_was_made_otherwise(run: LoadedRun, part: Truth) -> None:
    """Say which results, with those just made, were made otherwise although they share a file of maps."""
    found, own = {}, _file_name(run, part)
    for path in _folder(run).glob("*.json"):
        with suppress(InputError):  # a damaged one is told when it is asked for
            facts = read_result(path)
            if path.name == f"{own}.{facts['protocol']['name']}.json":
                found[path.name] = facts
    if names := differing(found):
        print(
            f"{', '.join(names)} in {_folder(run)} were not all made with the same shards, pairs, object prior and "
            "alpha: the maps beside them are of what was evaluated last. Run `training evaluate` again under these "
            "protocols.",
            flush=True,
        )


def _maps_are_whole(run: LoadedRun, part: Truth, protocols: Sequence[Protocol]) -> bool:
    """Whether the maps beside an earlier result, and under controls asked for, are there and can be read; else said."""
    controlled = any(protocol.asks in CONTROLLED for protocol in protocols)
    for path in (_arrays(run, part, kind) for kind in ((RAW_MAPS, CONTROLS) if controlled else (RAW_MAPS,))):
        try:
            if not path.is_file():
                raise InputError(f"{path}, what the run showed, is not there.")
            load_arrays(path, ("names", "maps"))
        except InputError as error:
            print(f"{error} They are made again.")
            return False
    return True


def _annotations(run: LoadedRun, request: EvaluationRequest) -> Path:
    path = request.truth or run.config.evaluation.truth
    if path is None:
        raise InputError(f"run {run.folder} names no test set; give its annotations: --truth vggss.json.")
    if request.truth is None and not path.exists():
        raise InputError(
            f"run {run.folder} names the test set {path}, seen from the folder it was started in. {path} is not there. "
            "Say where it is now with --truth FILE."
        )
    return path


def _test_sets(run: LoadedRun, request: EvaluationRequest) -> tuple[Truth, tuple[Truth, ...]]:
    """The set that is predicted, and what of it is scored: the whole, or the clips of each list, named after both."""
    wanted, path, own = run.config.evaluation, _annotations(run, request), request.truth is None
    format = request.format or (wanted.format if own else USUAL_FORMAT)
    negatives = request.negatives or (wanted.negatives if own else None)
    name = request.test_set or (wanted.test_set if own or format == wanted.format else None)
    if name and (problem := name_problem(name)):
        raise InputError(f"--test-set becomes a file's name in the run folder, and {name!r} {problem}. Give another.")
    lists = [read_clips(clips) for clips in request.clips]
    return named_parts(path, format, lists, negatives=negatives, name=name)


def _protocols(run: LoadedRun, request: EvaluationRequest, truth: Truth) -> tuple[Protocol, ...]:
    """What was asked for, else what the set's authors measure, else what the run's config says."""
    chosen = request.protocols or default_protocols(truth, run.config.evaluation.protocols)
    chosen = (*chosen, *(LISTENING if request.listen else ()))
    return tuple(check_protocol(name, truth) for name in dict.fromkeys(chosen))


def save_maps(path: Path, predictions: Predictions, truth: Truth) -> None:
    """Raw maps as `training score` reads them, with the boxes (fractions) and the row of the clip each belongs to."""
    arrays: dict[str, Any] = {"names": np.array(predictions.names), "maps": predictions.maps}
    arrays |= {"view": np.array(truth.view), "shown": predictions.shown}
    row_of = {name: row for row, name in enumerate(predictions.names)}
    found = [annotation for annotation in truth.test_set.annotations if annotation.key in row_of]
    boxes = [(row_of[annotation.key], box) for annotation in found for box in annotation.boxes]
    arrays["box_owner"] = np.array([owner for owner, _ in boxes], np.int64)
    arrays["boxes"] = np.array([box for _, box in boxes], np.float64).reshape(-1, 4)
    if predictions.object_maps is not None:
        arrays["object_maps"] = predictions.object_maps
    if predictions.boxes is not None:
        arrays |= as_arrays(predictions.found_boxes())
    with whole_file(path) as handle:
        np.savez_compressed(handle, **arrays)


def save_controls(path: Path, found: ControlMaps, donors: Mapping[str, Mapping[str, str]]) -> None:
    """Maps under the own sounds and under each control, as `training score` reads them, with whose sounds those are."""
    arrays: dict[str, Any] = {"names": np.array(found.own.names), "maps": found.own.maps}
    arrays |= {f"maps_{control}": maps for control, maps in found.controls.items()}
    for control, chosen in donors.items():
        arrays[f"{control}_of"] = np.array([chosen.get(name, "") for name in found.own.names])
    if found.own.object_maps is not None:
        arrays["object_maps"] = found.own.object_maps
    with whole_file(path) as handle:
        np.savez_compressed(handle, **arrays)
