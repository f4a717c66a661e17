"""`score(maps, truth, protocol)`: maps that any program made against any truth, under one named protocol.

from training import score
result = score({"3qesirWAGt4_000020": heat, ...}, "vggss.json", "ezvsl")
result["ciou50"]
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manifests.catalogue import read_clips
from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.given_arrays import given_array
from manifests.published_sets import named_parts
from manifests.splits import IdList
from manifests.test_sets import Truth
from manifests.truth import USUAL_FORMAT
from training.evaluation import boxes, tasks
from training.evaluation.document import document
from training.evaluation.protocol import Protocol
from training.evaluation.raw_maps import SAY_WHAT_IS_SHOWN, as_shown, check_arrays, load_arrays

# `training evaluate` writes them for the page: the truth is read elsewhere, and predicted boxes are no maps
WRITTEN_BESIDE = ("boxes", "box_owner", *boxes.ARRAYS, boxes.SCORES)
TEMPERATURES = 1e-6, 1e4  # beyond these, what maps are scaled to no longer fits float32
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
    _check_numbers(temperature, alpha, seed)
    wanted = read_clips(Path(clips)) if clips else None
    annotated = _annotated(Path(truth), format, wanted, negatives, test_set)
    measured = tasks.check_protocol(protocol, annotated)
    task = tasks.task_of(measured)
    if not measured.from_files:
        raise InputError(f"The protocol {protocol} asks a model; it is measured by `training evaluate RUN`.")
    arrays = _arrays(maps, measured)
    answers = task.read(arrays, alpha, measured)
    seen = as_shown(annotated, arrays, lambda names: tasks.found_in(names, annotated, measured))
    found = document(tasks.score(answers, seen, protocol, temperature=temperature, seed=seed))
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
    given = {name: given_array(each, f"the array of {name}") for name, each in maps.items()}
    arrays = given if "names" in given else _by_name(given)
    check_arrays(arrays, "The mapping of arrays", needed)
    return arrays


def _by_name(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    shapes = {name: each.shape for name, each in maps.items()}
    if not maps or len(set(shapes.values())) != 1:
        said = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:3]) or "nothing"
        raise InputError(f"The maps are {said}, ...: give one map (h, w) for every clip, all of one shape.")
    return {"names": np.array(list(maps)), "maps": np.stack(list(maps.values()))}


def _check_numbers(temperature: float, alpha: float, seed: int) -> None:
    low, high = TEMPERATURES
    if not low <= temperature <= high:
        raise InputError(f"--temperature is {temperature}; what cosines are divided by is from {low:g} to {high:g}.")
    if not 0 <= alpha <= 1:
        raise InputError(f"--alpha is {alpha}; the weight of the map against object_maps is from 0 to 1.")
    if seed < 0:
        raise InputError(f"--seed is {seed}; a seed is 0 or more.")


def _annotated(path: Path, format: str, wanted: IdList | None, negatives: Path | str | None, name: str | None) -> Truth:
    """The set, or what a list narrows it to, under a name that its content may bear; with its silent pairs."""
    lists = [] if wanted is None else [wanted]
    pairs = None if negatives is None else Path(negatives)
    _, (found,) = named_parts(path, format, lists, negatives=pairs, name=name)
    return found
