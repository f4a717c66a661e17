"""Results in a run's folder: what they will be called, which are there already, and what the run showed."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import InputError
from manifests.files.given import has_file, understood
from manifests.files.parquet import read_table
from manifests.files.whole import whole_file
from manifests.sound_draws import word_of
from manifests.test_sets import Truth
from training.answers import Answered, under_controls
from training.evaluation.boxes import as_arrays
from training.evaluation.control_maps import CUT_MAPS, THRESHOLDS, ControlMaps
from training.evaluation.control_protocols import ControlledProtocol
from training.evaluation.earlier import earlier_rules
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import load_arrays
from training.evaluation.results import Result, content_id, file_name
from training.evaluation.stored import (
    CONTROLS,
    RAW_MAPS,
    VALIDATION,
    WEIGHTS,
    arrays_file,
    controls_kind,
    differing,
    read_result,
    stored_results,
    weights_problem,
)
from training.evaluation.tasks import as_measured
from training.object_prior import has_prior
from training.predict import Predictions
from training.run_folders.files import EVALUATION
from training.runs import LoadedRun

DEPENDS_ON = ("truth", "shards", "negatives", "pairs", "references", VALIDATION)  # what an earlier result stands on


@dataclass(frozen=True)
class Asked:
    """One result: of a part of the set under a protocol, which looks at `measured` of it; `stem` begins the names of
    its files, and of what the run showed."""

    part: Truth
    protocol: Protocol
    measured: Truth
    stem: str


def asked_of(run: LoadedRun, parts: tuple[Truth, ...], protocols: tuple[Protocol, ...]) -> list[Asked]:
    """Every result that is asked for, part by part, under the name that its files will have."""
    beside, found = list[tuple[str, str]](), []
    for part, protocol in product(parts, protocols):
        own = as_measured(part, protocol)
        named = own.name, content_id(own.test_set.sha256, own.extended.sha256 if own.extended is not None else None)
        stem = file_name(results_folder(run), *named, run.config.evaluation.view, beside)
        beside.append(named)
        found.append(Asked(part, protocol, own, stem))
    return found


def results_folder(run: LoadedRun) -> Path:
    """Where results of these weights are written: those of the last epoch lie at the top."""
    top = run.folder / EVALUATION
    return top if run.weights == "last" else top / run.weights


def finished(run: LoadedRun, one: Asked, lists: dict[str, dict[str, str]]) -> Result | None:
    """An earlier result of what is asked, when everything it depends on is what it was."""
    path = results_folder(run) / f"{one.stem}.{one.protocol.name}.json"
    if not has_file(path):
        return None
    try:
        facts = read_result(path)
        with understood(path, "or its table is damaged"):
            before, now = (
                [each.get(name, {}).get("sha256") for name in DEPENDS_ON] for each in (facts["lists"], lists)
            )
            other_weights = weights_problem(facts, lists[WEIGHTS]["sha256"])
            other_prior = not has_prior(facts, run.config.evaluation.object_prior)
            if other_weights or before != now or other_prior or earlier_rules(facts):
                return None
            return Result(read_table(path.with_suffix(".parquet")), facts)
    except InputError as damage:
        print(f"{damage} It is made again.", flush=True)
        return None


def save_arrays(run: LoadedRun, answered: Answered, asked: Sequence[Asked]) -> None:
    """What the run showed, once for all results of a set; under other sounds, too, where any protocol asks for it."""
    folder = results_folder(run)
    for one in {one.stem: one for one in asked}.values():
        own = answered.predictions.only(set(one.measured.keys))
        save_maps(arrays_file(folder, one.stem, RAW_MAPS), own, answered.as_shown(one.measured))
    foreign = {
        (one.stem, one.protocol.draws): one.part for one in asked if isinstance(one.protocol, ControlledProtocol)
    }
    for (stem, draws), part in foreign.items():
        assert answered.drawn is not None, "a protocol asks for controls"
        path = arrays_file(folder, stem, f"{CONTROLS}{word_of(draws)}")
        save_controls(path, under_controls(answered, part, draws), [answered.drawn[draw].donors for draw in draws])


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


def save_controls(path: Path, found: ControlMaps, donors: Sequence[Mapping[str, Mapping[str, str]]]) -> None:
    """Maps under the own sounds and under each control, as `training score` reads them, with whose sounds those are in
    each draw."""
    arrays: dict[str, Any] = {"names": np.array(found.own.names), "maps": found.own.maps}
    arrays |= {f"maps_{control}": maps for control, maps in found.controls.items()}
    for control in donors[0]:
        whose = np.array([[draw[control].get(name, "") for name in found.own.names] for draw in donors])
        arrays[f"{control}_of"] = whose if len(donors) > 1 else whose[0]
    if found.own.object_maps is not None:
        arrays["object_maps"] = found.own.object_maps
    if found.thresholds:
        arrays[THRESHOLDS] = np.array([found.thresholds[name] for name in CUT_MAPS if name in found.thresholds])
    with whole_file(path) as handle:
        np.savez_compressed(handle, **arrays)


def tell_what_was_made_otherwise(run: LoadedRun, stems: Iterable[str]) -> None:
    """Say which results, with those just made, were made otherwise although they share a file of maps."""
    held = {}
    for path in stored_results(results_folder(run)):
        with suppress(InputError):  # a damaged one is told when it is asked for
            held[path.name] = read_result(path)
    for stem in stems:
        own = {name: facts for name, facts in held.items() if name == f"{stem}.{facts['protocol']['name']}.json"}
        if not (names := differing(own)):
            continue
        print(
            f"{', '.join(names)} in {results_folder(run)} were not all made with the same shards, pairs, object prior "
            "and alpha: the maps beside them are of what was evaluated last. Run `training evaluate` again under these "
            "protocols.",
            flush=True,
        )


def maps_are_whole(run: LoadedRun, one: Asked) -> bool:
    """Whether the maps beside an earlier result, and under controls asked for, are there and can be read; else said."""
    controlled = isinstance(one.protocol, ControlledProtocol)
    kinds = (RAW_MAPS, controls_kind(one.protocol.as_json())) if controlled else (RAW_MAPS,)
    for path in (arrays_file(results_folder(run), one.stem, kind) for kind in kinds):
        try:
            if not has_file(path):
                raise InputError(f"{path}, what the run showed, is not there.")
            load_arrays(path, ("names", "maps"))
        except InputError as error:
            print(f"{error} They are made again.")
            return False
    return True
