"""A finished run applied to clips of a shard folder: raw maps, scores and embeddings, in the order asked for."""

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from manifests.annotations import Box
from manifests.errors import InputError
from manifests.views import window
from pipeline.console import progress
from pipeline.shards.store import ShardStore
from training.config import RunConfig
from training.data.beside import Beside, Heard, collated, on_device
from training.data.pairs import EvaluationPair, paired_batches
from training.data.views import normalise_audio, normalise_image
from training.distributed import Ranks
from training.encoders.kept import asked
from training.encoders.projection import ProjectedTrunk
from training.methods.contract import BaseMethod, Batch, HasCellFeatures
from training.object_prior import ObjectPrior, architecture_of
from training.runs import LoadedRun
from training.similarity import pooled_by_map, unit

COLUMNS = ("maps", "scores", "image_embeddings", "audio_embeddings", "boxes", "distances")  # as in `Prediction`
OPTIONAL = ("object_maps", "boxes", "distances")


@dataclass(frozen=True)
class Predictions:
    """Per sample: raw maps (N, h, w), scores (N,), unit embeddings (N, D), object-prior maps (N, h', w') if asked.

    `shown` (N, 4) is the part of the frame that the model saw and that the map covers. Of methods that have them also
    boxes (N, B, 5) with their scores, best first, NaN for none, and distances (N,).
    """

    names: list[str]
    maps: np.ndarray
    scores: np.ndarray
    image_embeddings: np.ndarray
    audio_embeddings: np.ndarray
    shown: np.ndarray
    object_maps: np.ndarray | None
    boxes: np.ndarray | None = None
    distances: np.ndarray | None = None

    @property
    def parts(self) -> dict[str, Box]:
        """What was shown of each sample's frame, by name."""
        return {name: cast(Box, tuple(part)) for name, part in zip(self.names, self.shown.tolist(), strict=True)}

    def only(self, names: Collection[str]) -> "Predictions":
        """The samples of these names, in the order they are here."""
        kept = [row for row, name in enumerate(self.names) if name in names]
        columns = {name: getattr(self, name) for name in (field.name for field in fields(self)) if name != "names"}
        chosen: dict[str, Any] = {name: None if each is None else each[kept] for name, each in columns.items()}
        return Predictions([self.names[row] for row in kept], **chosen)

    def found_boxes(self) -> list[np.ndarray]:
        """The boxes (n, 5) of each sample, without those that are none."""
        assert self.boxes is not None, "this method gives no boxes"
        return [own[np.isfinite(own).all(axis=1)].astype(np.float64) for own in self.boxes]


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
        counts = [share.stop - share.start for share in shares]
        columns = {name: process.gather(column, counts) for name, column in columns.items()}
    whole: dict[str, Any] = {name: columns.get(name) for name in OPTIONAL} | columns
    return Predictions([pairing.name for pairing in pairings], shown=_shown(run, store, pairings), **whole)


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
) -> dict[str, np.ndarray]:
    """Columns of `Predictions`, each (samples, ...): those that the method has, and object maps if asked."""
    config, columns = run.config, dict[str, list[np.ndarray]]()
    beside = Beside(store, run.method.needs, run.method.burst)
    trunks = [shared_trunk(run.method, kind) for kind in ("image", "audio")]
    objects: dict[int, Tensor] = {}  # an image's object map is the same whatever is heard beside it
    with progress(f"predicting with {config.name}", len(pairings), "clips") as advance:
        for chunk, pixels, spectrograms in shown_batches(run, store, pairings):
            image = normalise_image(pixels.to(run.device))
            audio = normalise_audio(spectrograms.to(run.device), config.data)
            rows, sounds = [pairing.image_row for pairing in chunk], [pairing.heard for pairing in chunk]
            shown = {"image": once(trunks[0], image, rows), "audio": once(trunks[1], audio, sounds)}
            prediction = run.method.predict(cast(Batch, shown | beside_pairs(beside, run, chunk)))
            found = dict(zip(COLUMNS, prediction, strict=True))
            found["object_maps"] = None if object_prior is None else object_maps_of(object_prior, image, rows, objects)
            for name, value in found.items():
                if value is not None:
                    columns.setdefault(name, []).append(value.float().cpu().numpy())
            advance(len(chunk))
    return {name: np.concatenate(column) for name, column in columns.items()}


def once(part: Callable[[Tensor], Tensor] | None, values: Tensor, names: Sequence[Hashable]) -> Tensor:
    """What a part of a network makes of values (B, ...), asked once for each that several `names` share.

    The values themselves where none is shared: then the method asks its trunk as ever. A trunk hands on what it made
    before (`training.encoders.kept`), so its method gets features in place of them.
    """
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    if part is None or len(number) == len(names):
        return values
    first = [names.index(name) for name in number]
    return part(values[first])[[number[name] for name in names]]


def object_maps_of(prior: nn.Module, images: Tensor, rows: Sequence[int], known: dict[int, Tensor]) -> Tensor:
    """Object maps of images (B, 3, H, W), asked once for each row; `known` grows by those that are new."""
    new = {row: place for place, row in enumerate(rows) if row not in known}
    if new:
        known.update(zip(new, prior(images[list(new.values())]), strict=True))
    return torch.stack([known[row] for row in rows])


def shared_trunk(method: BaseMethod, modality: str) -> Callable[[Tensor], Tensor] | None:
    """What is asked of the one trunk that all images (or sounds) go into, whole; None where there is not one."""
    if modality not in method.only_for_trunks:
        return None
    named = [getattr(part, f"{modality}_trunk", None) for part in method.modules()]
    trunks = {part.trunk if isinstance(part, ProjectedTrunk) else part for part in named if isinstance(part, nn.Module)}
    entry = method.audio_entry if modality == "audio" else "forward"
    return asked(trunks.pop(), entry) if len(trunks) == 1 else None


def beside_pairs(beside: Beside, run: LoadedRun, pairs: list[EvaluationPair]) -> dict[str, Tensor]:
    """What else the method needs of these samples, on its device."""
    view, size = run.config.evaluation.view, run.config.data.image_size
    heard = [Heard(pair.audio_row, pair.made, pair.name, pair.mixed) for pair in pairs]
    found = collated([beside.shown(p.image_row, view, size, own) for p, own in zip(pairs, heard, strict=True)])
    return on_device(found, run.device, size)


def shown_batches(
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
    method = cell_features_of(run)
    config, audio, rows = run.config, [], []
    for _, _, spectrograms in shown_batches(run, store, pairings):
        audio.append(unit(method.auditory(normalise_audio(spectrograms.to(run.device), config.data))))
    heard = torch.cat(audio).T
    for _, pixels, _ in shown_batches(run, store, pairings):
        seen = unit(method.visual(normalise_image(pixels.to(run.device)))).flatten(2).transpose(1, 2)
        rows += [(image @ heard).amax(dim=0).float().cpu().numpy() for image in seen]
    return np.stack(rows)


@torch.no_grad()
def pooled_under_maps(
    run: LoadedRun, store: ShardStore, pairings: list[EvaluationPair]
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (N, D) of images, their cells weighted by their own map, and of sounds: two of float32.

    InputError as `similarity_over_positions`.
    """
    same_front_end(run, store)
    method = cell_features_of(run)
    config, images, sounds = run.config, [], []
    with progress(f"pooling under the maps of {config.name}", len(pairings), "clips") as advance:
        for chunk, pixels, spectrograms in shown_batches(run, store, pairings):
            seen = unit(method.visual(normalise_image(pixels.to(run.device)))).float()
            heard = unit(method.auditory(normalise_audio(spectrograms.to(run.device), config.data))).float()
            images.append(pooled_by_map(seen, heard).cpu().numpy())
            sounds.append(heard.cpu().numpy())
            advance(len(chunk))
    return np.concatenate(images), np.concatenate(sounds)


def cell_features_of(run: LoadedRun) -> HasCellFeatures:
    """The run's method, with features of its own for images and sounds. InputError for one without them."""
    method: object = run.method
    if not isinstance(method, HasCellFeatures):
        raise InputError(f"{run.config.method.name} has no cell features to compare with foreign sounds.")
    return method


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
    return ObjectPrior(wanted.weights, architecture_of(wanted), wanted.kind).to(device)
