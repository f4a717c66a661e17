"""What every method promises to the loop, the evaluation and the embedding; one contract test runs over all of them.

Larger means more sounding, everywhere. A map is not normalised, thresholded or resized: that is the protocol's.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, Protocol, TypedDict, runtime_checkable

import torch
from torch import Tensor, nn

from training.config import Encoders

Exclusion = Literal["image", "audio", "source"]  # near in appearance, near in sound, from the same source video


class Prediction(NamedTuple):
    """What a method says about B pairs of image and audio."""

    map: Tensor  # (B, h, w) raw similarity of each cell with the sound
    score: Tensor  # (B,) confidence that the sound's source is visible
    image_embedding: Tensor  # (B, D) unit vectors, comparable with each other
    audio_embedding: Tensor  # (B, D) unit vectors, comparable with each other
    boxes: Tensor | None = None  # (B, N, 5) x1, y1, x2, y2 (fractions of the image), score; best first, NaN for none
    distance: Tensor | None = None  # (B,) of image and sound, where the method has another than of the embeddings


class Batch(TypedDict, total=False):
    """One replica's share of a step. Fields after `audio` are there when the method's `needs` names them."""

    key: list[str]
    row: Tensor  # (B,) int64: rows of the shards' manifest
    source: Tensor  # (B,) int64: numbers of the videos the clips are cut from
    image: Tensor  # (B, 3, S, S) normalised
    audio: Tensor  # (B, 1, F, T) normalised
    label: Tensor  # (B,) int64: numbers of the clips' classes; `needs` calls it labels
    neighbours: dict[str, Tensor]  # "image": images near in appearance, "audio": sounds near; shapes as above. `needs`
    # calls one of them alone near_image or near_audio
    augmented: dict[str, Tensor]  # "image": a SimCLR view of the own image, "audio": the own sound shifted in time
    proposals: Tensor  # (B, P, 4) x1, y1, x2, y2 of regions, fractions of the image; 0 throughout where there are fewer
    flow: Tensor  # (B, 2, 56, 56) how fast what is seen moves right and down, in sides of the image a second
    waveform: Tensor  # (B, 33075) the 3 s around the moment at 11025 Hz, in [-1, 1]
    burst: Tensor  # (B, N, 3, S, S) consecutive images around the clip's own, which is the middle one, as `image`
    exclusions: dict[str, Tensor]  # "image", "audio", "source" (B, B) bool: [i, j] is no true negative of clip i


def excluded(batch: Batch, kinds: Iterable[Exclusion]) -> Tensor | None:
    """(B, B) bool: [i, j] where clip j is no negative of clip i for one of these reasons; None without any kind."""
    masks = [batch["exclusions"][kind] for kind in kinds]
    return torch.stack(masks).any(dim=0) if masks else None


@runtime_checkable
class HasCellFeatures(Protocol):
    """A method whose image and audio have features of their own, before they meet in a map."""

    def visual(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, C, h, w)."""
        ...

    def auditory(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> (B, C)."""
        ...


@runtime_checkable
class HasClassResponses(Protocol):
    """A method with labels that says how much of each class every cell shows of the sound that is heard."""

    def class_responses(self, batch: Batch) -> Tensor:
        """Of what `predict` is given: (B, K, h, w), in the order of the classes' numbers; larger is more."""
        ...


@runtime_checkable
class HasClassMaps(Protocol):
    """A method with a map for each of K classes of objects, which it has found by itself and which have no names."""

    def class_maps(self, image: Tensor, audio: Tensor) -> Tensor:
        """(B, 3, S, S), (B, 1, F, T) -> (B, K, h, w) in [0, 1]: where objects of each class sound."""
        ...

    def heard_classes(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> (B, K), of sum 1: how much a sound is of each class."""
        ...


class SourceMaps(NamedTuple):
    """K sources of each of B sounds. A number is the same source for every image that is shown under one sound."""

    maps: Tensor  # (B, K, h, w) as `Prediction.map`, of one source each
    heard: Tensor  # (B, K) how much of the sound each source is, larger is more; 0 for one that is not there


@runtime_checkable
class HasSourceMaps(Protocol):
    """A method that takes a mixture of sounds apart: a map for each of its sources, where others have one for all."""

    def source_maps(self, batch: Batch, sources: int) -> SourceMaps:
        """Of what `predict` is given. `sources` says how many sounds were mixed, to a method that has to be told."""
        ...


class TrainingClips(Protocol):
    """The clips a run trains on, for what is done with all of them before an epoch."""

    @property
    def rows(self) -> Tensor:
        """(N,) int64: their rows, ascending."""
        ...

    @property
    def sha256(self) -> str:
        """Of their keys, in the order of the rows: other clips have another, and so do these in another order."""
        ...

    def each(self, of: Callable[[Batch], Tensor]) -> Tensor:
        """What `of` makes of every clip's whole frame and sound: (B, ...) of a batch -> (N, ...) float32 on the CPU.

        In the order of `rows`, the method in eval mode and without gradients; every process gets the same. In place of
        what is `only_for_trunks` a batch may hold the features that a frozen trunk made of it.
        """
        ...


class BaseMethod(nn.Module):
    """Defaults of the optional members; a method overrides `forward` and `loss`."""

    config: Any  # the method's own `Config`
    needs: frozenset[str] = frozenset()
    # What goes nowhere but into its trunk, whole, in losses and hooks: features that a frozen trunk made of it before
    # may take its place.
    only_for_trunks: frozenset[str] = frozenset({"image", "audio"})
    audio_entry: Literal["forward", "cells"] = "forward"  # what it calls of its audio trunk; `cells` are not pooled yet
    classes: int | None = None  # of a method that needs labels: how many it can tell apart
    least_clips: int = 1  # that a loss is over: 2 where other clips are what a clip is told from, or normalised with
    burst: tuple[int, float] = (0, 0.0)  # of one that needs consecutive images: how many, and how many a second
    gives_boxes: bool = False  # whether its predictions have `boxes`
    augmented_policies: tuple[str, str] = ("simclr", "time_shift")  # of the "augmented" image and audio

    def __init__(self, config: object, encoders: Encoders) -> None:
        super().__init__()
        self.config = config

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        """Predict for paired images (B, 3, S, S) and sounds (B, 1, F, T)."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def predict(self, batch: Batch) -> Prediction:
        """As `forward`, with what else the method needs of a clip; larger answers (boxes) may need more than a pair."""
        return self(batch["image"], batch["audio"])

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars by name; `total` is minimised, all are logged."""
        raise TypeError(f"{type(self).__name__} has no loss")

    def check_clips(self, clips: TrainingClips) -> None:
        """InputError where it cannot learn from these; called before the run is begun, with its first weights."""

    def before_epoch(self, epoch: int, clips: TrainingClips) -> None:
        """Called before the first step of each epoch, and again when a run resumes inside one (warm-ups, clusters)."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Trained parameters as optimiser groups; `rate` scales the run's learning rate, `weight_decay` replaces it."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def others_at(self, rate: float, *parts: nn.Module) -> list[dict[str, Any]]:
        """Groups for `parameter_groups`: these parts at the run's rate, all else at `rate` times it."""
        slow = [parameter for part in parts for parameter in part.parameters()]
        inside = {id(parameter) for parameter in slow}
        fast = [parameter for parameter in self.parameters() if id(parameter) not in inside]
        trained = [parameter for parameter in slow if parameter.requires_grad]
        return [{"params": trained, "rate": 1.0}, {"params": fast, "rate": rate}]

    def after_step(self, step: int) -> None:
        """Called after each optimiser step (momentum teachers)."""
