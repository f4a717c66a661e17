"""A finished run applied to clips of a shard folder: raw maps, scores and embeddings, in the order asked for."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor

from manifests.annotations import Box
from manifests.errors import InputError
from manifests.views import window
from pipeline.console import progress
from pipeline.shards.store import ShardStore
from training.config import RunConfig
from training.data.stream import EvaluationPair, paired_batches
from training.data.views import normalise_audio, normalise_image
from training.distributed import Ranks
from training.methods.contract import HasCellFeatures
from training.object_prior import ObjectPrior, architecture_of
from training.runs import LoadedRun
from training.similarity import unit


@dataclass(frozen=True)
class Predictions:
    """Per sample: raw maps (N, h, w), scores (N,), unit embeddings (N, D), object-prior maps (N, h', w') if asked.

    `shown` (N, 4) is the part of the frame that the model saw and that the map covers.
    """

    names: list[str]
    maps: np.ndarray
    scores: np.ndarray
    image_embeddings: np.ndarray
    audio_embeddings: np.ndarray
    shown: np.ndarray
    object_maps: np.ndarray | None

    @property
    def parts(self) -> dict[str, Box]:
        """What was shown of each sample's frame, by name."""
        return {name: cast(Box, tuple(part)) for name, part in zip(self.names, self.shown.tolist(), strict=True)}

    def only(self, names: Collection[str]) -> "Predictions":
        """The samples of these names, in the order they are here."""
        kept = [row for row, name in enumerate(self.names) if name in names]
        return Predictions(
            [self.names[row] for row in kept],
            self.maps[kept],
            self.scores[kept],
            self.image_embeddings[kept],
            self.audio_embeddings[kept],
            self.shown[kept],
            None if self.object_maps is None else self.object_maps[kept],
        )


@torch.no_grad()
def predict(
    run: LoadedRun,
    store: ShardStore,
    pairings: list[EvaluationPair],
    object_prior: ObjectPrior | None = None,
    process: Ranks | None = None,
) -> Predictions:
    """Run a method over pairs of image and audio; float32 arrays, nothing normalised or resized.

    With several processes each predicts whole batches of its own, the same batches one process would see, and every
    process returns all of them: no sample is repeated to fill a share.
    """
    same_front_end(run, store)
    size = run.config.evaluation.batch_size
    shares = _shares(len(pairings), size, process.world if process else 1)
    mine = shares[process.rank] if process else slice(None)
    columns = _columns(run, store, pairings[mine], object_prior)
    if process is not None and len(shares) > 1:
        columns = [process.gather(column, [share.stop - share.start for share in shares]) for column in columns]
    maps, scores, images, audio, *prior = columns
    names, shown = [pairing.name for pairing in pairings], _shown(run, store, pairings)
    return Predictions(names, maps, scores, images, audio, shown, prior[0] if prior else None)


def _shares(count: int, batch: int, world: int) -> list[slice]:
    """Consecutive samples for each process: whole batches where there are enough, else single samples.

    InputError for fewer samples than processes.
    """
    if count < world:
        raise InputError(f"{count} samples cannot be shared by {world} processes; evaluate with one.")
    unit_size = batch if -(-count // batch) >= world else 1
    units = -(-count // unit_size)
    cuts = [min(count, unit_size * (units * rank // world)) for rank in range(world + 1)]
    return [slice(first, last) for first, last in pairwise(cuts)]


def _columns(
    run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair], object_prior: ObjectPrior | None
) -> list[np.ndarray]:
    """Maps, scores, image and audio embeddings, and object maps if asked, each (samples, ...)."""
    config, columns = run.config, ([], [], [], [], [])
    with progress(f"predicting with {config.name}", len(pairings), "clips") as advance:
        for chunk, pixels, spectrograms in _batches(run, store, pairings):
            image = normalise_image(pixels.to(run.device))
            prediction = run.method(image, normalise_audio(spectrograms.to(run.device), config.data))
            prior = (object_prior(image),) if object_prior is not None else ()
            for column, value in zip(columns, (*prediction, *prior), strict=False):
                column.append(value.float().cpu().numpy())
            advance(len(chunk))
    return [np.concatenate(column) for column in columns if column]


def _batches(
    run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair]
) -> Iterator[tuple[list[EvaluationPair], Tensor, Tensor]]:
    """The samples as this run is shown them."""
    wanted = run.config.evaluation
    return paired_batches(store, pairings, run.config.data.image_size, wanted.batch_size, wanted.view)


def _shown(run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair]) -> np.ndarray:
    """float64 (samples, 4): the part of each frame that this run is shown."""
    size, view = run.config.data.image_size, run.config.evaluation.view
    heights, widths = (store.table[side].to_pylist() for side in ("height", "width"))
    rows = [pairing.image_row for pairing in pairings]
    return np.array([window(view, heights[row], widths[row], size).part for row in rows]).reshape(-1, 4)


@torch.no_grad()
def similarity_over_positions(run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair]) -> np.ndarray:
    """(N, N) largest cosine of any cell of each image (row) with each sound (column).

    InputError for a method without features of its own for image and audio (`visual`, `auditory`).
    """
    same_front_end(run, store)
    method: object = run.method
    if not isinstance(method, HasCellFeatures):
        raise InputError(f"{run.config.method.name} has no cell features to compare with foreign sounds.")
    config, audio, rows = run.config, [], []
    for _, _, spectrograms in _batches(run, store, pairings):
        audio.append(unit(method.auditory(normalise_audio(spectrograms.to(run.device), config.data))))
    heard = torch.cat(audio).T
    for _, pixels, _ in _batches(run, store, pairings):
        seen = unit(method.visual(normalise_image(pixels.to(run.device)))).flatten(2).transpose(1, 2)
        rows += [(image @ heard).amax(dim=0).float().cpu().numpy() for image in seen]
    return np.stack(rows)


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
