"""`training evaluate`: the samples of a test set through a finished run, then through the scoring that serves any maps.

Writes `evaluation/<set>.maps.npz` (raw maps, as another program could score them) and, per set and protocol,
`evaluation/<set>.<protocol>.{json,parquet}` into the run folder. Under torchrun every process predicts its share of the
samples, none of them twice, and the first scores and writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from manifests.catalogue import read_clips
from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.files.content import read_content
from manifests.files.given import is_there
from manifests.files.names import name_problem
from manifests.published_sets import named_parts
from manifests.sound_draws import SoundDraw
from manifests.test_sets import Truth
from manifests.truth import USUAL_FORMAT
from pipeline.console import progress
from pipeline.shards.joined import Folders
from pipeline.shards.store import ShardStore
from pipeline.storage.files import remove_leftovers
from training.answers import Answered, check_asked, takes_apart
from training.class_labels import trained_classes
from training.data.control_pairs import Drawn, control_pairs, group_pairs
from training.data.evaluation_pairs import found_pairings, read_pairs, samples_of, with_mismatches
from training.data.made_sounds import made_sound
from training.data.mixtures import mixture_pairs
from training.data.pairs import EvaluationPair
from training.distributed import Ranks
from training.evaluated import (
    Asked,
    asked_of,
    finished,
    maps_are_whole,
    results_folder,
    save_arrays,
    tell_what_was_made_otherwise,
)
from training.evaluation.control_protocols import ControlledProtocol
from training.evaluation.listening import LISTENING
from training.evaluation.metrics.interactive import classes_of
from training.evaluation.protocol import Protocol
from training.evaluation.protocols import drawn_by
from training.evaluation.results import Result
from training.evaluation.stored import (
    WEIGHTS,
)
from training.evaluation.tasks import check_protocol, default_protocols, score
from training.evaluation.tasks.duets import cases_of
from training.methods.contract import HasClassMaps
from training.object_prior import prior_facts
from training.predict import object_prior_of, predict
from training.reference_sounds import asked_references
from training.runs import LoadedRun, open_run_shards
from training.trained_on import seen_by
from training.validated import validation_of


@dataclass(frozen=True)
class EvaluationRequest:
    """What to score a run on; what is None comes from the run's config.

    `clips` are lists that each narrow the set to a result of its own (heard, unheard); `pairs` says which clips make a
    sample where the set does not name its samples as clips are named, `references` sounds of single instruments, under
    which the protocols of several maps a frame ask for every frame; `view` is how frames are shown; `listen` adds the
    protocols that ask whether a run follows the sound; `sounds` is a variant of these that says by which seeds foreign
    sounds are drawn, `seed7` or `seeds0..9`; `threshold_set` is what the results of a validation set are called.
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
    sounds: str | None = None
    threshold_set: str | None = None


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
    asked = asked_of(run, parts, protocols)
    sources, validation = _sources(run, request, store), validation_of(run, request.threshold_set, protocols, truth)
    made = [finished(run, one, _set(one.measured) | sources | validation.lists(one.protocol)) for one in asked]
    if None not in made and all(maps_are_whole(run, one) for one in asked):
        return [result for result in made if result is not None]
    seen = seen_by(run.folder)
    whole = [one for one in asked if not takes_apart(run, one.protocol)]
    mixed = [case for one in whole for case in cases_of(one.part, one.protocol)]
    answered = _answered(run, request, store, truth, protocols, mixed, process)
    answered = replace(answered, thresholds=validation.thresholds)
    if process is not None and not process.first:
        return []
    folder = results_folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    save_arrays(run, answered, asked)
    results = []
    with progress(f"scoring {run.config.name}", len(asked), "results") as advance:
        for one in asked:
            result = _scored(run, answered, one, sources | validation.lists(one.protocol))
            result.summary["lists"]["training"] = seen.against(one.part.test_set)
            result.write(folder)
            results.append(result)
            advance(1)
    tell_what_was_made_otherwise(run, dict.fromkeys(one.stem for one in asked))
    return results


def _scored(run: LoadedRun, answered: Answered, one: Asked, lists: dict[str, dict[str, str]]) -> Result:
    """One result, which says beside the scores what the run's answers were made from."""
    shown = answered.as_shown(one.measured)
    result = score(answered.answers(one.protocol, one.part), shown, one.protocol.name, run=_name(run))
    result.summary["lists"] |= _set(one.measured) | lists | prior_facts(run.config.evaluation.object_prior)
    result.summary["weights"] = run.weights
    if isinstance(one.protocol, ControlledProtocol):
        result.summary["drawn_again"] = answered.drawn_again(one.protocol, one.part)
        result.summary["swapped_by"] = "label"  # told from results of before by it: see `earlier_rules`
    return result


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
    sounds = {name: sound for name, (_, sound) in samples_of(truth, pairs).items()}
    controls, drawn = _controls(pairings, sounds, truth, protocols, store.front_end)
    wanted = pairings + several + controls + mixture_pairs(mixed, pairings)
    predictions = predict(run, store, wanted, object_prior_of(run.config, run.device), process)
    return Answered(run, store, pairings, predictions, foreign, references, drawn)


def _controls(
    pairings: list[EvaluationPair],
    sounds: dict[str, str],
    truth: Truth,
    protocols: tuple[Protocol, ...],
    front_end: str,
) -> tuple[list[EvaluationPair], dict[SoundDraw, Drawn] | None]:
    """The controls that protocols ask for, each once, and by draw whose sounds they are; None where none asks."""
    asking = [protocol for protocol in protocols if isinstance(protocol, ControlledProtocol)]
    found, drawn = dict[str, EvaluationPair](), dict[SoundDraw, Drawn]()
    classes, labels = classes_of(truth), truth.test_set.labels
    for draw in dict.fromkeys(draw for protocol in asking for draw in protocol.draws):
        drawn[draw] = control_pairs(pairings, sounds, classes, labels, draw)
        if any(protocol.asks == "controls_by_group" and draw in protocol.draws for protocol in asking):
            drawn[draw] = drawn[draw].beside(group_pairs(pairings, labels, draw))
        found |= {pair.name: pair for pair in drawn[draw].pairs}
    for made in {pair.made for pair in found.values() if pair.made}:
        made_sound(front_end, made, "")  # or it is refused now, before anything is predicted
    return list(found.values()), drawn or None


def _name(run: LoadedRun) -> str:
    """What results call a run: `<config>/<hash>-s<seed>`."""
    return f"{run.folder.parent.name}/{run.folder.name}"


def _sources(run: LoadedRun, request: EvaluationRequest, store: ShardStore) -> dict[str, dict[str, str]]:
    """What every result depends on beside its set and the run's settings, each by content hash."""
    lists = {
        "shards": {"name": str(store.folder), "sha256": store.manifest_sha256},
        WEIGHTS: {"name": run.weights_file.name, "sha256": file_sha256(run.weights_file)},
    }
    for name, given in (("pairs", request.pairs), ("references", request.references)):
        if given is not None:
            lists[name] = {"name": given.name, "sha256": read_content(given).sha256}
    return lists


def _set(part: Truth) -> dict[str, dict[str, str]]:
    """The set's own lists."""
    lists = {"truth": {"name": part.test_set.name, "sha256": part.test_set.sha256}}
    if part.extended is not None:
        lists["negatives"] = {"name": part.extended.name, "sha256": part.extended.sha256}
    return lists


def _annotations(run: LoadedRun, request: EvaluationRequest) -> Path:
    path = request.truth or run.config.evaluation.truth
    if path is None:
        raise InputError(f"run {run.folder} names no test set; give its annotations: --truth vggss.json.")
    if request.truth is None and not is_there(path):
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
    if request.clips and negatives and not request.negatives:
        print(f"the silent pairs of {negatives}, which the run's config names, are of the whole set: lists have none")
        negatives = None
    name = request.test_set or (wanted.test_set if own or format == wanted.format else None)
    if name and (problem := name_problem(name)):
        raise InputError(f"--test-set becomes a file's name in the run folder, and {name!r} {problem}. Give another.")
    lists = [read_clips(clips) for clips in request.clips]
    return named_parts(path, format, lists, negatives=negatives, name=name)


def _protocols(run: LoadedRun, request: EvaluationRequest, truth: Truth) -> tuple[Protocol, ...]:
    """What was asked for, else what the set's authors measure, else what the run's config says."""
    chosen = request.protocols or default_protocols(truth, run.config.evaluation.protocols)
    chosen = (*chosen, *(LISTENING if request.listen else ()))
    chosen = drawn_by(request.sounds, chosen) if request.sounds else chosen
    found = tuple(check_protocol(name, truth) for name in dict.fromkeys(chosen))
    for protocol in found:
        check_asked(run, protocol)  # before anything is predicted
    return found
