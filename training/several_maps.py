"""What a run says of a pair beside its one map: a map for each class that it knows, or for each source of a mixture."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from manifests.errors import InputError
from pipeline.console import progress
from pipeline.shards.store import ShardStore
from training.data.pairs import EvaluationPair
from training.data.views import normalise_audio
from training.methods.contract import Batch, HasClassMaps, HasClassResponses, HasSourceMaps
from training.predict import given_batches, same_front_end
from training.runs import LoadedRun


@torch.no_grad()
def responses_by_class(run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair]) -> np.ndarray:
    """float32 (N, K, h, w): how much every cell shows of each class of what is heard.

    InputError for a method that gives no such responses.
    """
    method: object = run.method
    if not isinstance(method, HasClassResponses):
        raise InputError(f"{run.config.method.name} has no responses of single classes.")
    return _of_every_pair(run, store, pairings, lambda batch: (method.class_responses(batch),))[0]


@torch.no_grad()
def class_maps_of(run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair]) -> np.ndarray:
    """float32 (N, K, h, w): maps of the classes that a method has found by itself."""
    method = cast(HasClassMaps, run.method)
    return _of_every_pair(run, store, pairings, lambda batch: (method.class_maps(batch["image"], batch["audio"]),))[0]


@torch.no_grad()
def source_maps_of(
    run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair], sources: int
) -> tuple[np.ndarray, ...]:
    """float32 (N, K, h, w) maps of the sources of mixtures of so many sounds, and (N, K) how much each is heard."""
    method = cast(HasSourceMaps, run.method)
    return _of_every_pair(run, store, pairings, lambda batch: method.source_maps(batch, sources))


def _of_every_pair(
    run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair], of: Callable[[Batch], tuple[Tensor, ...]]
) -> tuple[np.ndarray, ...]:
    same_front_end(run, store)
    found = []
    with progress(f"classes or sources by {run.config.name}", len(pairings), "clips") as advance:
        for chunk, batch in given_batches(run, store, pairings):
            found.append([each.float().cpu().numpy() for each in of(batch)])
            advance(len(chunk))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))


@torch.no_grad()
def heard_classes_of(run: LoadedRun, store: ShardStore, rows: Sequence[int]) -> np.ndarray:
    """float32 (N, K): which of these classes the sounds of some rows are of."""
    method, found = cast(HasClassMaps, run.method), []
    for row in rows:
        sound = torch.from_numpy(store.spectrogram(row).copy())[None].to(run.device)
        found.append(method.heard_classes(normalise_audio(sound, run.config.data)).float().cpu().numpy())
    return np.concatenate(found)
