"""`training score`: maps that any program wrote against any truth, under one named protocol, into one JSON file."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from manifests.catalogue import read_clips
from manifests.errors import InputError
from manifests.given_files import opened
from manifests.outputs import check_output, json_with
from manifests.published_sets import named_by_content, named_parts
from manifests.readers.extended import read_extended
from manifests.splits import IdList
from manifests.truth import Truth
from manifests.whole_files import write_text
from training.evaluation import boxes
from training.evaluation.document import document
from training.evaluation.protocols.boxes import BOXES
from training.evaluation.raw_maps import SAY_WHAT_IS_SHOWN, as_shown, load_arrays
from training.evaluation.tasks import check_protocol, score, task_of

# `training evaluate` writes them for the page: the truth is read elsewhere, and predicted boxes are no maps
WRITTEN_BESIDE = ("boxes", "box_owner", *boxes.ARRAYS, boxes.SCORES)
OF_BOXES, OF_MAPS = BOXES, "ezvsl"  # the protocols of what nobody named one for


def asked(protocols: list[str] | None, boxes: bool) -> list[str]:
    """The protocols to score under. InputError when boxes are to be scored under one for maps."""
    named = protocols or [OF_BOXES if boxes else OF_MAPS]
    if boxes and set(named) != {OF_BOXES}:
        raise InputError(
            f"--boxes scores the file's predicted boxes as they are, which is the protocol {OF_BOXES}; --protocol "
            f"{' '.join(named)} scores its maps. Give one of the two."
        )
    return named


def outputs(protocols: list[str], out: Path) -> dict[str, Path]:
    """The file of each protocol: `out`, or where there are several `<out>.<protocol>.json`."""
    named = list(dict.fromkeys(protocols))
    return {name: out if len(named) == 1 else out.with_name(f"{out.stem}.{name}.json") for name in named}


def score_file(
    maps: Path,
    truth: Path,
    format: str,
    protocol: str,
    out: Path,
    *,
    negatives: Path | None = None,
    clips: Path | None = None,
    test_set: str | None = None,
    alpha: float = 0.4,
    temperature: float = 1.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Score `maps` and write `out`; returns the document. InputError when anything given cannot be used.

    Under the protocol retrieval `maps` holds `image_embeddings` and `audio_embeddings` (N, D) instead of maps.
    """
    _check_arguments(out, temperature, seed)
    given = {"MAPS": maps, "--truth": truth, "--negatives": negatives, "--list": clips}
    check_output(out, given, json_with("protocol", "n_expected", "unused_arrays"), "training score")
    wanted = read_clips(clips) if clips else None
    annotated = _annotated(truth, format, wanted, negatives, test_set)
    measured = check_protocol(protocol, annotated)
    task = task_of(measured)
    if not measured.from_files:
        raise InputError(f"The protocol {protocol} asks a model; it is measured by `training evaluate RUN`.")
    arrays = load_arrays(maps, boxes.ARRAYS if measured.asks == "boxes" else task.ARRAYS)
    answers = task.read(arrays, alpha, measured)
    seen = as_shown(annotated, arrays)
    found = document(score(answers, seen, protocol, temperature=temperature, seed=seed))
    found["unused_arrays"] = sorted(arrays.keys() - {*task.ARRAYS, *task.OPTIONAL, *SAY_WHAT_IS_SHOWN, *WRITTEN_BESIDE})
    with opened(maps) as file:
        found["lists"]["maps"] = {"name": maps.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    if wanted is not None:
        found["lists"]["clips"] = {"name": wanted.name, "sha256": wanted.sha256}
    write_text(out, json.dumps(found, indent=1, allow_nan=False))
    return found


def _check_arguments(out: Path, temperature: float, seed: int) -> None:
    if temperature <= 0:
        raise InputError(f"--temperature is {temperature}; what cosines are divided by is more than 0.")
    if seed < 0:
        raise InputError(f"--seed is {seed}; a seed is 0 or more.")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder. Name the JSON file to write.")
    if not out.parent.is_dir():
        raise InputError(f"--out {out} lies in a folder that does not exist. Make {out.parent} first.")


def _annotated(path: Path, format: str, wanted: IdList | None, negatives: Path | None, name: str | None) -> Truth:
    """The set, or what a list narrows it to, under a name that its content may bear; with its silent pairs."""
    lists = [] if wanted is None else [wanted]
    _, (found,) = named_parts(path, format, lists, negatives=negatives, name=name)
    if negatives is None or found.extended is not None:
        return found
    return named_by_content(replace(found, extended=read_extended(negatives, found.test_set)))
