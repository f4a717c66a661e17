"""A finished run applied to clips of a shard folder: raw maps, scores and embeddings, in the order asked for."""

from dataclasses import dataclass

import numpy as np
import torch

from manifests.errors import InputError
from pipeline.console import progress
from pipeline.store import ShardStore
from training.config import RunConfig
from training.data import Pairing, paired_batches
from training.object_prior import ObjectPrior, architecture_of
from training.runs import LoadedRun
from training.views import normalise_audio, normalise_image


@dataclass(frozen=True)
class Predictions:
    """Per sample: raw maps (N, h, w), scores (N,), unit embeddings (N, D), object-prior maps (N, h', w') if asked."""

    names: list[str]
    maps: np.ndarray
    scores: np.ndarray
    image_embeddings: np.ndarray
    audio_embeddings: np.ndarray
    object_maps: np.ndarray | None


@torch.no_grad()
def predict(
    run: LoadedRun, store: ShardStore, pairings: list[Pairing], object_prior: ObjectPrior | None = None
) -> Predictions:
    """Run a method over pairs of picture and sound; float32 arrays, nothing normalised or resized."""
    same_front_end(run, store)
    config, columns = run.config, ([], [], [], [], [])
    batches = paired_batches(store, pairings, config.data.image_size, config.evaluation.batch_size)
    with progress(f"predicting with {config.name}", len(pairings), "clips") as advance:
        for chunk, pixels, spectrograms in batches:
            image = normalise_image(pixels.to(run.device))
            prediction = run.method(image, normalise_audio(spectrograms.to(run.device), config.data))
            prior = (object_prior(image),) if object_prior is not None else ()
            for column, value in zip(columns, (*prediction, *prior), strict=False):
                column.append(value.float().cpu().numpy())
            advance(len(chunk))
    maps, scores, images, sounds = (np.concatenate(column) for column in columns[:4])
    names = [pairing.name for pairing in pairings]
    return Predictions(names, maps, scores, images, sounds, np.concatenate(columns[4]) if columns[4] else None)


def same_front_end(run: LoadedRun, store: ShardStore) -> None:
    """A model trained on one spectrogram refuses another."""
    if store.front_end != run.front_end:
        raise InputError(
            f"run {run.folder} was trained on spectrograms {run.front_end!r}, the shards in {store.folder} hold "
            f"{store.front_end!r}. Give shards of the run's front end, or train on these."
        )


def object_prior_of(config: RunConfig, device: torch.device) -> ObjectPrior | None:
    """The prior a run's evaluation asks for, None when it asks for none."""
    wanted = config.evaluation.object_prior
    if wanted is None:
        return None
    return ObjectPrior(wanted.weights, architecture_of(wanted.weights), wanted.kind).to(device)
