"""`training export`: a finished run as a folder to pass on, which holds all that is needed and names no place here.

`training.export.exported` says what lies in it and opens it; `training.export.hub` sends it to the Hub and fetches it
from there.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from index.encoders.efficientnet_lite import read_classifier
from index.encoders.imagenet import IMAGENET
from index.encoders.tensor_file import read_tensors, write_tensors
from manifests.errors import InputError
from manifests.files.checksums import KEY, file_sha256, sealed
from manifests.files.given import read_bytes
from manifests.files.outputs import check_output, names_in
from manifests.files.plain_data import parse_json_object
from manifests.files.whole import write_text
from manifests.files.whole_folders import whole_folder
from pipeline.console import progress
from training.config import RunConfig
from training.encoders.weights import read_weights
from training.evaluation.earlier import earlier_rules
from training.evaluation.stored import prior_of
from training.export.card import card
from training.export.document import document_of, evaluations_of, without_places
from training.export.exported import CARD, CONFIG, PRIOR, WEIGHTS, config_of, open_exported, read_document
from training.export.licences import check_licence, hub_words, in_words, stated_licence
from training.export.programs import FORMS, check_form, write_program
from training.model_names import MOST_BYTES, is_exported
from training.object_prior import LITE, OTHERWISE, architecture_of, has_prior
from training.outside_methods import is_outside
from training.runs import LoadedRun

FILES = frozenset({WEIGHTS, CONFIG, PRIOR, CARD, *(form.file for form in FORMS.values())})
IN_METADATA = ("name", "method", "weights", "front_end", "training", "evaluations")


@dataclass(frozen=True)
class Wanted:
    """Where a model is exported to, which programs are made of it, its licence, and its name on the Hub.

    What an earlier export of the same run in `out` stated stays: its programs beside `forms`, its licence where none is
    given. It is refused where its weights are others and these were not asked for (`usual_weights`).
    """

    out: Path
    forms: tuple[str, ...] = ()
    licence: str | None = None
    repository: str | None = None
    usual_weights: bool = False


def export(run: LoadedRun, wanted: Wanted) -> dict[str, object]:
    """Write a run's folder to pass on, unless it is there; facts for a summary.

    InputError when `out` is the run or holds anything but an earlier export of this run, WorkFailed when the disk is
    full, and as `write_program` for the programs asked for.
    """
    check_licence(wanted.licence)
    _check_forms(wanted)
    check_output(wanted.out, {"RUN": [run.folder, *run.folder.parents]}, _is_own, "training export")
    _check_results(run)
    document = document_of(run)
    _check_same_run(wanted.out, document)
    wanted, kept = _with_earlier(wanted, document)
    request = _request(run, wanted, document)
    if _is_there(wanted.out, request):
        return {"already there": wanted.out, **_facts(wanted), **kept}
    with whole_folder(wanted.out) as partial:
        without = _fill(partial, run, wanted, document | {"request": request})
    return {"model": wanted.out, **_facts(wanted), **kept, **without}


def _check_forms(wanted: Wanted) -> None:
    for form in wanted.forms:
        check_form(form)


def _check_results(run: LoadedRun) -> None:
    """InputError for results by a rule that is no more, or with another object prior than the one that is exported."""
    again = "Run `training evaluate` again, under the protocol that each is named after, or remove it, then export."
    if earlier := [(one.path.name, rules) for one in evaluations_of(run) if (rules := earlier_rules(one.facts))]:
        told = "; ".join(f"{name} {' and '.join(rules)}" for name, rules in earlier)
        raise InputError(f"{run.folder} has results of an earlier version: {told}. {again}")
    prior = run.config.evaluation.object_prior
    if prior is not None and prior.weights != IMAGENET and not Path(prior.weights).is_file():
        return  # it is left out, which is said
    named = [one for one in evaluations_of(run) if prior_of(one.facts)]
    if other := [one.path.name for one in named if not has_prior(one.facts, prior)]:
        raise InputError(
            f"{', '.join(other)} of {run.folder} was scored with another object prior than its config names now. "
            f"{again}"
        )


def _is_own(folder: Path) -> bool:
    """Whether a folder is empty, or an exported model with nothing beside it."""
    names = names_in(folder) if folder.is_dir() else {"a file"}
    return not names or (names <= FILES and is_exported(folder))


def _check_same_run(out: Path, document: Mapping[str, Any]) -> None:
    """InputError where `out` holds the export of another run, which may be all that is left of it."""
    if not is_exported(out):
        return
    there = parse_json_object(read_bytes(out / CONFIG, MOST_BYTES))
    if _of_which_run(there) != _of_which_run(document):
        what = f"the model {there.get('name')}" if there.get("name") != document["name"] else "a model of this name"
        raise InputError(
            f"--out {out} holds {what}, which was exported from another run, and is not written over. Choose another "
            "--out, or remove that folder."
        )


def _with_earlier(wanted: Wanted, document: Mapping[str, Any]) -> tuple[Wanted, dict[str, object]]:
    """What is wanted, with what the export of this run in `out` stated beside it; what was kept, for the summary.

    InputError where that is of other weights, which nobody asked to replace, or its licence cannot be read.
    """
    if not is_exported(wanted.out):
        return wanted, {}
    there = parse_json_object(read_bytes(wanted.out / CONFIG, MOST_BYTES))
    weights, new = there.get("weights"), document["weights"]
    if wanted.usual_weights and weights != new:
        raise InputError(
            f"--out {wanted.out} holds the weights called {weights} of this run. Say --weights {weights} to go on with "
            f"them, or --weights {new} to have these in their place."
        )
    forms = tuple(form for form in FORMS if form in (there.get("programs") or {}) and form not in wanted.forms)
    licence = stated_licence(wanted.out / CARD) if wanted.licence is None else None
    kept = ([f"licence {licence}"] if licence else []) + [f"format {form}" for form in forms]
    wanted = replace(wanted, forms=(*wanted.forms, *forms), licence=wanted.licence or licence)
    _check_forms(wanted)
    return wanted, {"kept of the earlier export": ", ".join(kept)} if kept else {}


def _of_which_run(document: Mapping[str, Any]) -> dict[str, Any]:
    """What stays the same of a run's exports: its settings but for how it is scored, and what it was trained on."""
    kept = {name: document.get(name) for name in ("front_end", "shards", "training", "imported")}
    settings = _with_younger_ones(dict(document.get("run") or {}))
    return kept | {"run": {name: each for name, each in settings.items() if name != "evaluation"}}


def _with_younger_ones(settings: dict[str, Any]) -> dict[str, Any]:
    """Stored settings with those that earlier programs did not have, as they were then; unchanged where they cannot be
    understood, or name a method of others, whose code is not to run."""
    try:
        name = str(settings["method"]["name"])
        if is_outside(name) and name not in sys.modules:
            return settings
        return without_places(config_of(settings).model_dump(mode="json"))
    except (KeyError, TypeError, ValueError, InputError):
        return settings


def _request(run: LoadedRun, wanted: Wanted, document: Mapping[str, Any]) -> str:
    """Digest of all that decides what is written."""
    asked = [sorted(wanted.forms), hub_words(wanted.licence), wanted.repository, file_sha256(_weights_of(run))]
    return hashlib.sha256(json.dumps([document, *asked], sort_keys=True).encode()).hexdigest()


def _weights_of(run: LoadedRun) -> Path:
    return run.weights_file


def _is_there(folder: Path, request: str) -> bool:
    """Whether the folder holds this model already, whole."""
    if not is_exported(folder):
        return False
    try:
        there = read_document(folder)
        digests = {name: digest for name, digest in there[KEY].items() if name != "document"}
        whole = all(file_sha256(folder / name) == digest for name, digest in digests.items())
    except (InputError, OSError):
        return False
    return whole and there.get("request") == request and not there["left_out"]


def _fill(folder: Path, run: LoadedRun, wanted: Wanted, document: dict[str, Any]) -> dict[str, object]:
    """Write every file; what could not be had, and why."""
    told = {name: json.dumps(document[name]) for name in IN_METADATA}
    write_tensors(folder / WEIGHTS, read_tensors(_weights_of(run))[0], told)
    without = _write_prior(folder, run.config)
    if without:
        document["run"]["evaluation"]["object_prior"] = None
    document["left_out"] = list(without)
    document["programs"] = {}
    with progress(f"exporting {run.config.name}", len(wanted.forms), "programs") as advance:
        for form in wanted.forms:
            document["programs"][form] = write_program(run, form, folder)
            advance(1)
    names = sorted([CONFIG, *(path.name for path in folder.iterdir())])
    write_text(folder / CARD, card(document, wanted.licence, wanted.repository, names))
    digests = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    write_text(folder / CONFIG, json.dumps(sealed(document, digests), indent=1, allow_nan=False))
    open_exported(folder)  # what was written is what will be read
    return {f"without {name}": why for name, why in without.items()}


def _write_prior(folder: Path, config: RunConfig) -> dict[str, str]:
    """Write the object prior's weights into the folder; its file and the reason where they cannot be had."""
    prior = config.evaluation.object_prior
    if prior is None:
        return {}
    try:
        if prior.layout == LITE:
            write_tensors(folder / PRIOR, read_classifier(prior.weights))
        else:
            shape = architecture_of(prior)
            stated = {"blocks": json.dumps(list(shape.blocks)), "width": json.dumps(shape.width)}
            write_tensors(folder / PRIOR, read_weights(prior.weights, shape.blocks, OTHERWISE), stated)
    except InputError as error:
        return {PRIOR: str(error)}
    return {}


def _facts(wanted: Wanted) -> dict[str, object]:
    document = read_document(wanted.out)
    facts: dict[str, object] = {
        "files": ", ".join(sorted(path.name for path in wanted.out.iterdir())),
        "licence": in_words(wanted.licence),
    }
    for program in document["programs"].values():
        facts[program["file"]] = f"differs from the model by {program['greatest_difference']:.1e} at most"
    return facts
