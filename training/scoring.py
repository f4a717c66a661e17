"""`score(maps, truth, protocol)`: maps that any program made against any truth, under one named protocol.

from training import score
result = score({"3qesirWAGt4_000020": heat, ...}, "vggss.json", "ezvsl")
result["ciou50"]
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from manifests.catalogue import read_clips
from manifests.checksums import file_sha256
from manifests.errors import InputError
from manifests.given_arrays import given_array
from manifests.published_sets import named_by_content, named_parts
from manifests.readers.extended import read_extended
from manifests.splits import IdList
from manifests.truth import USUAL_FORMAT, Truth
from training.evaluation import boxes, tasks
from training.evaluation.document import document
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import SAY_WHAT_IS_SHOWN, as_shown, check_arrays, load_arrays

# `training evaluate` writes them for the page: the truth is read elsewhere, and predicted boxes are no maps
WRITTEN_BESIDE = ("boxes", "box_owner", *boxes.ARRAYS, boxes.SCORES)
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

    maps: by the clip's name its map (h, w), larger where the source is, of any size and not normalised; or the arrays
    of a `maps.npz` (`names`, `maps`, ...), or its path. truth: a file in `format`, as the other options of
    `training score`. InputError when anything given cannot be used, or maps, truth and protocol do not fit.
    """
    _check_numbers(temperature, seed)
    wanted = read_clips(Path(clips)) if clips else None
    annotated = _annotated(Path(truth), format, wanted, negatives, test_set)
    measured = tasks.check_protocol(protocol, annotated)
    task = tasks.task_of(measured)
    if not measured.from_files:
        raise InputError(f"The protocol {protocol} asks a model; it is measured by `training evaluate RUN`.")
    arrays = _arrays(maps, measured)
    answers = task.read(arrays, alpha, measured)
    found = document(tasks.score(answers, as_shown(annotated, arrays), protocol, temperature=temperature, seed=seed))
    found["unused_arrays"] = sorted(arrays.keys() - {*task.ARRAYS, *task.OPTIONAL, *SAY_WHAT_IS_SHOWN, *WRITTEN_BESIDE})
    if not isinstance(maps, Mapping):
        found["lists"]["maps"] = {"name": Path(maps).name, "sha256": file_sha256(Path(maps))}
    if wanted is not None:
        found["lists"]["clips"] = {"name": wanted.name, "sha256": wanted.sha256}
    return found


def _arrays(maps: Maps, protocol: Protocol) -> dict[str, np.ndarray]:
    """The arrays that the protocol's task reads. InputError when one is missing."""
    needed = boxes.ARRAYS if protocol.asks == "boxes" else tasks.task_of(protocol).ARRAYS
    if not isinstance(maps, Mapping):
        return load_arrays(maps, needed)
    arrays = dict(maps) if "names" in maps else _by_name(maps)
    check_arrays(arrays, "The mapping of arrays", needed)
    return arrays


def _by_name(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    shapes = {name: np.shape(each) for name, each in maps.items()}
    if not maps or len(set(shapes.values())) != 1:
        said = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:3]) or "nothing"
        raise InputError(f"The maps are {said}, ...: give one map (h, w) for every clip, all of one shape.")
    given = [given_array(each, f"the map of {name}") for name, each in maps.items()]
    return {"names": np.array(list(maps)), "maps": np.stack(given)}


def _check_numbers(temperature: float, seed: int) -> None:
    if temperature <= 0:
        raise InputError(f"--temperature is {temperature}; what cosines are divided by is more than 0.")
    if seed < 0:
        raise InputError(f"--seed is {seed}; a seed is 0 or more.")


def _annotated(path: Path, format: str, wanted: IdList | None, negatives: Path | str | None, name: str | None) -> Truth:
    """The set, or what a list narrows it to, under a name that its content may bear; with its silent pairs."""
    lists = [] if wanted is None else [wanted]
    pairs = None if negatives is None else Path(negatives)
    _, (found,) = named_parts(path, format, lists, negatives=pairs, name=name)
    if pairs is None or found.extended is not None:
        return found
    return named_by_content(replace(found, extended=read_extended(pairs, found.test_set)))
