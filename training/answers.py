"""What a run answers: for each kind of thing that a protocol asks for, how it is made from a run's predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manifests.errors import InputError
from manifests.readers.extended import ExtendedSet
from manifests.sound_draws import CONTROLS, NOISE, OFF_SCREEN, OTHER_GROUP, SILENCE, SoundDraw
from manifests.test_sets import PAIR_SEPARATOR, Truth
from pipeline.shards.store import ShardStore
from training.class_labels import labels_of, own_classes, under_references
from training.data.control_pairs import Drawn, control_name
from training.data.mixtures import Case, mixture_names, mixture_pairs
from training.data.pairs import EvaluationPair
from training.evaluation.boxes import BoxMaps, box_maps
from training.evaluation.control_maps import CUT_MAPS, ControlMaps
from training.evaluation.control_protocols import ControlledProtocol
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks.duets import MixtureMaps, MixtureProtocol, cases_of
from training.evaluation.tasks.onscreen import DISTANCE, BothPairs, Pairs
from training.evaluation.tasks.retrieval import Similarity
from training.evaluation.tasks.semantic import LabelMaps
from training.evaluation.tasks.several_sources import ClusterMaps
from training.methods.contract import HasClassMaps, HasSourceMaps
from training.predict import Predictions, cell_features_of, similarity_over_positions
from training.reference_sounds import References
from training.runs import LoadedRun
from training.several_maps import class_maps_of, heard_classes_of, source_maps_of


@dataclass(frozen=True)
class Answered:
    """A run's predictions for everything asked; `foreign` are the pairs in which nothing seen sounds.

    `drawn` says by draw whose sound a control is, where controls were asked for; `thresholds` by map
    where a validation set says to cut, and the `distance` up to which it says that a pair is on screen.
    """

    run: LoadedRun
    store: ShardStore
    pairings: list[EvaluationPair]
    predictions: Predictions
    foreign: ExtendedSet | None
    references: References | None
    drawn: Mapping[SoundDraw, Drawn] | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def about(self, truth: Truth) -> Predictions:
        """Those about the clips of a set, or of a part of it, without negative pairs."""
        return self.predictions.only(set(truth.test_set.keys))

    def as_shown(self, truth: Truth) -> Truth:
        """The truth within what the run was shown of each frame."""
        return truth.seen_as(self.run.config.evaluation.view, self.predictions.parts)

    def drawn_again(self, protocol: ControlledProtocol, truth: Truth) -> dict[str, int]:
        """By control, how many clips of a set have another foreign sound than where no clip is missing."""
        assert self.drawn is not None, "a protocol asks for controls"
        found: dict[str, set[str]] = {}
        for control, kinds in UNDER[protocol.asks].items():
            for draw in (self.drawn[draw] for draw in protocol.draws):
                of_kind = {name: kind for kind in kinds[::-1] for name in draw.donors.get(kind, ())}
                again = {name for name, kind in of_kind.items() if name in draw.again[kind]}
                found.setdefault(control, set()).update(again.intersection(truth.test_set.keys))
        return {control: len(names) for control, names in found.items() if names}

    def answers(self, protocol: Protocol, truth: Truth) -> Any:
        """The record that the protocol's task scores, once `check_asked` has passed. InputError where data lacks."""
        if isinstance(protocol, MixtureProtocol):
            return _mixtures(self, truth, protocol)
        if isinstance(protocol, ControlledProtocol):
            return under_controls(self, truth, protocol.draws, UNDER[protocol.asks])
        return ANSWERS[protocol.asks](self, truth)


def check_asked(run: LoadedRun, protocol: Protocol) -> None:
    """InputError for a protocol that asks for what no run answers, or not this one, known before it predicts."""
    if not isinstance(protocol, MixtureProtocol) and protocol.asks not in (*ANSWERS, *UNDER):
        known = ", ".join((*ANSWERS, *UNDER, "mixtures"))
        raise InputError(f"No run answers with {protocol.asks}. What runs can be asked for is {known}.")
    if protocol.asks == "boxes" and not run.method.gives_boxes:
        raise InputError(f"{run.config.method.name} gives maps and no boxes; score it under a protocol for maps.")
    if protocol.asks == "similarity_over_positions":
        cell_features_of(run)


def _maps(made: Answered, truth: Truth) -> RawMaps:
    own, prior = made.predictions.only(set(truth.keys)), made.run.config.evaluation.object_prior
    return RawMaps(own.names, own.maps, own.object_maps, None, prior.alpha if prior else 0.4)


def _boxes(made: Answered, truth: Truth) -> BoxMaps:
    own = made.predictions.only(set(truth.keys))
    return box_maps(own.names, own.found_boxes())


# by what a protocol asks for: the pairs that stand for each control, the first of them that a clip has. Off-screen
# sounds of AVSBench-Robust are of another group, and of another class where a clip's group is not known
UNDER: dict[str, dict[str, tuple[str, ...]]] = {
    "controls": {control: (control,) for control in CONTROLS},
    "controls_by_group": {SILENCE: (SILENCE,), NOISE: (NOISE,), OFF_SCREEN: (OTHER_GROUP, OFF_SCREEN)},
}


def under_controls(
    made: Answered, truth: Truth, draws: Sequence[SoundDraw], wanted: Mapping[str, tuple[str, ...]] = UNDER["controls"]
) -> ControlMaps:
    """Maps under the own sounds and under every control, (N, h, w) of one draw and (R, N, h, w) of several."""
    own = _maps(made, truth)
    row_of = {name: row for row, name in enumerate(made.predictions.names)}
    absent = np.full(own.maps.shape[1:], np.nan, np.float32)

    def shown(name: str, kinds: tuple[str, ...], draw: SoundDraw) -> np.ndarray:
        pairs = (control_name(name, kind, draw) for kind in kinds)
        row = next((row_of[pair] for pair in pairs if pair in row_of), None)
        return absent if row is None else made.predictions.maps[row]

    maps = {
        control: np.stack([np.stack([shown(name, kinds, draw) for name in own.names]) for draw in draws])
        for control, kinds in wanted.items()
    }
    found = {control: each if len(draws) > 1 else each[0] for control, each in maps.items()}
    return ControlMaps(own, found, {name: made.thresholds[name] for name in CUT_MAPS if name in made.thresholds})


def _cluster_maps(made: Answered, truth: Truth) -> ClusterMaps:
    assert made.references is not None, "asked for without reference sounds"
    names = made.about(truth).names
    method: object = made.run.method
    if not isinstance(method, HasClassMaps):
        return made.references.maps(made.predictions, names)
    asked = [pairing for pairing in made.pairings if pairing.name in set(names)]
    heard = heard_classes_of(made.run, made.store, made.references.rows(made.store))
    return made.references.named(class_maps_of(made.run, made.store, asked), heard, names)


def _labels(made: Answered, truth: Truth) -> LabelMaps:
    """A class for every pixel: by reference sounds where they are given, else by the method's own classes."""
    assert truth.classes is not None, "`check` comes before"
    own, unknown = made.about(truth), list[str]()
    if made.references is not None:
        responses, numbers = under_references(_cluster_maps(made, truth), truth.classes.numbers)
    else:
        asked = [pairing for pairing in made.pairings if pairing.name in set(own.names)]
        responses, numbers, unknown = own_classes(made.run, made.store, asked, truth.classes.numbers)
    return LabelMaps(own.names, labels_of(own.maps, responses, numbers), unknown)


def takes_apart(run: LoadedRun, protocol: Protocol) -> bool:
    """Whether the run has a map for each source of a protocol's mixtures, where others have one for the mixture."""
    method: object = run.method
    return isinstance(protocol, MixtureProtocol) and protocol.images > 1 and isinstance(method, HasSourceMaps)


def _mixtures(made: Answered, truth: Truth, protocol: MixtureProtocol) -> MixtureMaps:
    """Maps of every case, over its images below one another: one for each source, or one for the mixture."""
    cases, present = cases_of(truth, protocol), {pairing.name for pairing in made.pairings}
    found = [case for case in cases if present >= set(case)]
    if not found:
        wanting = (
            f"the first of its {len(cases)} cases is {PAIR_SEPARATOR.join(cases[0])}, and {made.store.folder} holds "
            "the clips of none. Ingest them into the same shards"
            if cases
            else "they make no case. Give a larger set"
        )
        raise InputError(
            f"{protocol.name} mixes the sounds of {protocol.images} clips. {truth.test_set.name} has "
            f"{len(truth.test_set.keys)}: {wanting}."
        )
    maps, owner = (_of_sources if takes_apart(made.run, protocol) else _of_mixtures)(made, found)
    return MixtureMaps([PAIR_SEPARATOR.join(case) for case in found], maps, owner)


def _of_mixtures(made: Answered, cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """One map a case, (N, K h, w), and the rows of the cases, (N,)."""
    row_of = {name: row for row, name in enumerate(made.predictions.names)}
    maps = [np.concatenate([made.predictions.maps[row_of[name]] for name in mixture_names(case)]) for case in cases]
    return np.stack(maps), np.arange(len(cases))


def _of_sources(made: Answered, cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """The map of every source that is there, the most heard of a case first: (M, K h, w), and its case's row, (M,)."""
    pairs, images = mixture_pairs(cases, made.pairings), len(cases[0])
    maps, heard = source_maps_of(made.run, made.store, pairs, images)
    sources, height, width = maps.shape[1:]
    whole = maps.reshape(-1, images, sources, height, width).swapaxes(1, 2).reshape(-1, sources, images * height, width)
    loudness = heard.reshape(-1, images, sources).max(axis=1)  # of a case: a source may show in one image alone
    chosen = [np.argsort(-own, kind="stable")[: int((own > 0).sum())] for own in loudness]
    owner = np.repeat(np.arange(len(cases)), [len(own) for own in chosen])
    return whole[owner, np.concatenate(chosen)], owner


def _similarity(made: Answered, truth: Truth) -> Similarity:
    own = made.about(truth)
    return Similarity(own.names, own.image_embeddings @ own.audio_embeddings.T)


def _similarity_over_positions(made: Answered, truth: Truth) -> Similarity:
    names = made.about(truth).names
    asked = [pairing for pairing in made.pairings if pairing.name in set(names)]
    return Similarity(names, similarity_over_positions(made.run, made.store, asked))


def _pairs(made: Answered, truth: Truth) -> BothPairs:
    assert made.foreign is not None, "asked for without negative pairs"
    own = made.about(truth)
    if truth.extended is not None:
        mismatched = {pair.key for pair in truth.extended.negatives}
    else:
        seen = set(own.names)
        mismatched = {pair.key for pair in made.foreign.negatives if pair.video in seen}
    return BothPairs(_distances(own), _distances(made.predictions.only(mismatched)), made.thresholds.get(DISTANCE))


def _distances(predictions: Predictions) -> Pairs:
    """A method that chooses boxes is as sure as of its best box, and may have a distance of its own."""
    distance = np.linalg.norm(predictions.image_embeddings - predictions.audio_embeddings, axis=1)
    activation = np.maximum(predictions.maps, 0).max(axis=(1, 2), initial=0)
    if predictions.boxes is not None:
        activation = np.maximum(predictions.scores, 0)
    return Pairs(predictions.names, distance if predictions.distances is None else predictions.distances, activation)


ANSWERS: dict[str, Callable[[Answered, Truth], Any]] = {
    "maps": _maps,
    "boxes": _boxes,
    "cluster_maps": _cluster_maps,
    "labels": _labels,
    "similarity": _similarity,
    "similarity_over_positions": _similarity_over_positions,
    "pairs": _pairs,
}
