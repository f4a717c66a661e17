"""`score(maps, truth, protocol)`: maps that any program made against any truth, under one named protocol.

from training import score
result = score({"3qesirWAGt4_000020": heat, ...}, "vggss.json", "ezvsl")
result["ciou50"]
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manifests.catalogue import read_clips
from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.given_arrays import given_array, given_path, given_text, in_short, kind_of, number_of
from manifests.published_sets import named_parts
from manifests.splits import IdList
from manifests.test_sets import Truth
from manifests.truth import USUAL_FORMAT
from training.evaluation import boxes, tasks
from training.evaluation.document import document
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import COLOURS, NO_COLOURS, SAY_WHAT_IS_SHOWN, as_shown, check_arrays, load_arrays

# `training evaluate` writes them for the page: the truth is read elsewhere, and predicted boxes are no maps
WRITTEN_BESIDE = ("boxes", "box_owner", *boxes.ARRAYS, boxes.SCORES)
TEMPERATURES = 1e-6, 1e4  # beyond these, what maps are scaled to no longer fits float32
MOST_NAMED = 3  # shapes of maps that are not all of one
Maps = Path | str | Mapping[str, np.ndarray]


def score(
    maps: Maps,
    truth: Path | str,
    protocol: str = "ezvsl",
    *,
    format: str = USUAL_FORMAT,
    negatives: Path | str | None = None,
    clips: Path | str | None = None,
    test_set: str | None = None,
    alpha: float = 0.4,
    temperature: float = 1.0,
    seed: int = 0,
) -> dict[str, Any]:
    """The document that `training score` writes: numbers with floor and ceiling, n scored of n expected, a row a clip.

    maps: by the clip's name its map (h, w), larger where the source is, not normalised, all of one size; or the
    arrays of a `maps.npz` (`names`, `maps`, ...), or its path. truth: a file in `format`, as the other options of
    `training score`. InputError when anything given cannot be used, or maps, truth and protocol do not fit.
    """
    _check_numbers(temperature, alpha, seed)
    _check_texts(protocol=protocol, format=format, test_set="" if test_set is None else test_set)
    source = _source(maps)
    wanted = None if clips is None else read_clips(given_path(clips, "clips"))
    annotated = _annotated(given_path(truth, "truth"), format, wanted, negatives, test_set)
    measured = tasks.check_protocol(protocol, annotated)
    task = tasks.task_of(measured)
    if not measured.from_files:
        raise InputError(f"The protocol {protocol} asks a model; it is measured by `training evaluate RUN`.")
    arrays = _arrays(source, measured)
    answers = task.read(arrays, alpha, measured)
    seen = as_shown(annotated, arrays, lambda names: tasks.found_in(names, annotated, measured))
    found = document(tasks.score(answers, seen, protocol, temperature=temperature, seed=seed))
    found["unused_arrays"] = sorted(arrays.keys() - {*task.ARRAYS, *task.OPTIONAL, *SAY_WHAT_IS_SHOWN, *WRITTEN_BESIDE})
    if isinstance(source, Path):
        found["lists"]["maps"] = {"name": source.name, "sha256": file_sha256(source)}
    if wanted is not None:
        found["lists"]["clips"] = {"name": wanted.name, "sha256": wanted.sha256}
    return found


def _source(maps: Maps) -> Path | dict[str, np.ndarray]:
    """The file, or the arrays by name. InputError for anything else."""
    if not isinstance(maps, Mapping):
        if not isinstance(maps, str | os.PathLike):
            raise InputError(
                f"maps is {kind_of(maps)}. Give a mapping of each clip's name to its map, or the path of a maps.npz."
            )
        return given_path(maps, "maps")
    if unnamed := [name for name in maps if not isinstance(name, str)]:
        raise InputError(f"A name in maps is {kind_of(unnamed[0])}. Give the clips' names as texts.")
    return {name: given_array(each, f"the array of {name}") for name, each in maps.items()}


def _arrays(maps: Path | dict[str, np.ndarray], protocol: Protocol) -> dict[str, np.ndarray]:
    """The arrays that the protocol's task reads. InputError when one is missing."""
    needed = boxes.ARRAYS if protocol.asks == "boxes" else tasks.task_of(protocol).ARRAYS
    given = load_arrays(maps, ()) if isinstance(maps, Path) else maps
    arrays = given if "maps" not in needed or not given.keys().isdisjoint(needed) else _by_name(given)
    check_arrays(arrays, str(maps) if isinstance(maps, Path) else "The mapping of arrays", needed)
    return arrays


def _by_name(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    firsts: dict[tuple[int, ...], str] = {}
    for name, each in maps.items():
        firsts.setdefault(each.shape, name)
    if len(firsts) != 1:
        said = [f"{name} {shape}" for shape, name in firsts.items()] or ["nothing"]
        said = said[:MOST_NAMED] + ["..."] * (len(said) > MOST_NAMED)
        picture = next((name for shape, name in firsts.items() if len(shape) == 3 and shape[-1] in COLOURS), None)
        hint = f" {picture} looks like a coloured picture of a map: {NO_COLOURS}" if picture else ""
        raise InputError(
            f"The maps are {', '.join(said)}: give one map (h, w) for every clip, all of one shape; or the arrays "
            f"names (N,) and maps (N, h, w).{hint}"
        )
    return {"names": np.array(list(maps)), "maps": np.stack(list(maps.values()))}


def _check_numbers(temperature: float, alpha: float, seed: int) -> None:
    low, high = TEMPERATURES
    if not low <= number_of(temperature) <= high:
        raise InputError(
            f"--temperature is {in_short(temperature)}; what cosines are divided by is from {low:g} to {high:g}."
        )
    if not 0 <= number_of(alpha) <= 1:
        raise InputError(f"--alpha is {in_short(alpha)}; the weight of the map against object_maps is from 0 to 1.")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"--seed is {in_short(seed)}; a seed is a whole number, 0 or more.")


def _check_texts(**given: Any) -> None:
    for name, text in given.items():
        given_text(text, name)


def _annotated(path: Path, format: str, wanted: IdList | None, negatives: Path | str | None, name: str | None) -> Truth:
    """The set, or what a list narrows it to, under a name that its content may bear; with its silent pairs."""
    lists = [] if wanted is None else [wanted]
    pairs = None if negatives is None else given_path(negatives, "negatives")
    _, (found,) = named_parts(path, format, lists, negatives=pairs, name=name)
    return found
