"""A class for every pixel from a run that says where something sounds: what AVSBench-semantic asks for.

Where it sounds is the run's map under the frame's own sound, cut as the protocol `avsbench` cuts it; elsewhere is
background. What it is there is the class with the largest response at the pixel: under a sound of each class
(`--references`, which any method can be asked with), or of the classes that the method itself tells apart.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from manifests.class_maps import AVSS_CLASSES
from manifests.errors import InputError
from manifests.readers.avss import NAMES
from pipeline.shards.store import ShardStore
from training.data.pairs import EvaluationPair
from training.evaluation.maps import upsample
from training.evaluation.postprocess import AUDIO_VISUAL, binarise, prepare
from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols import find_protocol
from training.evaluation.semantic import BACKGROUND
from training.evaluation.tasks.several_sources import ClusterMaps
from training.methods.contract import HasClassResponses
from training.runs import LoadedRun, read_facts
from training.several_maps import responses_by_class

SOUNDING = "avsbench"
BATCH = 32


def under_references(found: ClusterMaps, numbers: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Responses of classes (N, C, h, w), the mean under a class's sounds, and their numbers (C,).

    InputError for a category that is no class of the set, or is its background.
    """
    assert found.correspondence is not None, "references name their classes"
    share = found.correspondence / found.correspondence.sum(axis=1, keepdims=True)
    chosen = [_number(name, numbers) for name in found.categories]
    return np.einsum("ck,nkhw->nchw", share, found.maps).astype(np.float32), np.array(chosen)


def _number(name: str, numbers: Mapping[str, int]) -> int:
    plain = int(name) if name.isascii() and name.isdecimal() and len(name) < 4 else -1
    found = numbers.get(name, plain)
    if not BACKGROUND < found < AVSS_CLASSES:
        known = f"{NAMES} names {len(numbers)}" if numbers else f"there is no {NAMES} that names them"
        raise InputError(
            f"--references has the category {name[:80]!r}, which is none of the set's classes ({known}). Give a class "
            f"as it is called there, or its number, 1 to {AVSS_CLASSES - 1}."
        )
    return found


def own_classes(
    run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair], numbers: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Responses of the classes a run was trained on (N, C, h, w), their numbers (C,), and those the set does not have.

    InputError as `trained_classes`.
    """
    names, known = trained_classes(run, numbers)
    responses = responses_by_class(run, store, pairings)[:, known]
    unknown = [own for at, own in enumerate(names) if at not in known]
    return responses, np.array([numbers[names[at]] for at in known]), unknown


def trained_classes(run: LoadedRun, numbers: Mapping[str, int]) -> tuple[list[str], list[int]]:
    """What the classes are called that a run was trained on, and which of them, by place, the set has.

    InputError for a method that tells no classes apart, and where the set has none of them.
    """
    method: object = run.method
    name, names = run.config.method.name, read_facts(run.folder).get("classes")
    if not isinstance(method, HasClassResponses) or not names:
        raise InputError(
            f"{name} says where its sound comes from and not of which class it is, and the protocol needs a class for "
            "every pixel. Give --references, a csv category,clip with a sound of every class; or evaluate a run that "
            "was trained with labels and tells classes apart, such as avel, coarse_to_fine or lcbm."
        )
    known = [at for at, own in enumerate(names) if numbers.get(own, BACKGROUND) > BACKGROUND]
    if not known:
        found = f"{NAMES} names {len(numbers)} others" if numbers else f"there is no {NAMES} that names the set's"
        raise InputError(
            f"None of the {len(names)} classes that the run {run.folder} was trained on, first {names[0]!r}, is one of "
            f"the set: {found}. Put {NAMES} beside metadata.csv, train with data.label_groups that call them so, or "
            "give --references."
        )
    return names, known


def labels_of(maps: np.ndarray, responses: np.ndarray, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
    """uint8 (N, 224, 224): the class of every pixel, of maps (N, h, w) and responses (N, C, h', w') of `numbers`."""
    starts = range(0, len(maps), BATCH)
    return np.concatenate([_labels(maps[at : at + BATCH], responses[at : at + BATCH], numbers) for at in starts])


def _labels(maps: np.ndarray, responses: np.ndarray, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
    protocol = find_protocol(SOUNDING)
    assert isinstance(protocol, MapProtocol), "pixel masks are made of maps"
    sounding = binarise(prepare(maps, protocol)[AUDIO_VISUAL].maps, protocol).masks
    largest = [upsample(own, "bilinear", align_corners=False).argmax(axis=0) for own in responses]
    return np.where(sounding, np.asarray(numbers)[np.stack(largest)], BACKGROUND).astype(np.uint8)
