r"""DMC: deep multimodal clustering (Hu et al., CVPR 2019, arXiv:1807.03094), the simplified version its tables use.

Mathematics. Cells of an image and cells of a sound are projected, u = W v(x), and clustered by themselves in `rounds`
rounds of soft k-means, from centres at cells evenly spaced by index; gradients flow through all of them:

    c_k(x) = softmax_k( -beta |o_k - u(x)| )        o_k = sum_x c_k(x) u(x) / sum_x c_k(x)

Of an image two clusters (object and surroundings), of a sound one (its mean). Every sound has to be near the nearest
cluster of its image, and that of a wrong image at least `margin` away:

    d_j = min_k |o_k^image - o_j^sound|        D^2 = sum_j d_j^2
    loss = mean over matching and mismatched pairs of  0.5 D^2  and  0.5 [margin - D]_+^2

Prediction: c_k of the cluster nearest to the sound, between 0 and 1 and mostly near either end. Several sounds are
asked for by their number: `audio_clusters` of sounds and `image_clusters` one more than objects; the map is then the
largest of the sounds' maps. Of a mixture `source_maps` gives the map of every sound, of as many as were mixed.

Deviations and choices where paper and released code differ:
- trunks: ResNet-18 with stage 4 at stride 16 and from scratch, as in the simplified code; sounds there are 1 s of 64
  mel bands, 13 x 4 cells, here what the shards hold.
- `objective: ranking` is the loss of the first (Keras) version, [margin + s_wrong - s_right]_+ of the cosines of
  clusters of equal number, mean over clusters, margin 10 (never reached, so it is a plain difference). Its clusters
  have projections of their own to 16 dimensions, are shared by image and sound, and there are 10; here they are those
  of above.
- mismatches: `one` other clip of the batch for each, in place of one further image for each sound.
- image: the code draws one of four frames of the second, here it is the stored one.
- the denominator of a centre is at least 1e-5; the code divides by what may be 0.
- what sounds and what is silent is not decided: the number of sounds is given. `ranking`, whose clusters have partners
  by number and not by sound, has one map for all.
- embeddings: means over the cells.
- confidence: -D, the distance by which the method tells right from wrong pairs.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from training.config import Encoders, Section
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Batch, Prediction, SourceMaps
from training.parts.clustering import SoftClusters, guarded_distances, soft_kmeans
from training.parts.pair_losses import contrastive_loss, draw_mismatches, masked_mean
from training.similarity import distances, einsum, unit

MARGINS = {"contrastive": 5.0, "ranking": 10.0}
MIXED = "the number of sounds in a mixture"


class Config(Section):
    """Options of DMC; the defaults are those of the simplified released code."""

    dimension: int = Field(512, gt=0, description="of the projections")
    image_clusters: int = Field(2, gt=0, description="objects and their surroundings")
    audio_clusters: int = Field(1, gt=0, description="sounds")
    rounds: int = Field(4, gt=0, description="of soft k-means")
    sharpness: float = Field(30.0, gt=0, description="beta")
    objective: Literal["contrastive", "ranking"] = Field("contrastive", description="ranking: the first version's loss")
    margin: float | None = Field(None, gt=0, description="default: the objective's own, 5 or 10")
    mismatches: Literal["one", "all"] = Field("one", description="other clips of the batch that a clip is shown with")

    @model_validator(mode="after")
    def _ranking_compares_equal_numbers(self) -> "Config":
        if self.objective == "ranking" and self.image_clusters != self.audio_clusters:
            raise ValueError("objective ranking compares clusters by number; give image_clusters = audio_clusters")
        return self


class Method(BaseMethod):
    """Clusters of an image meet clusters of a sound."""

    config: Config
    least_clips = 2
    audio_entry = "cells"

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        self.image_head = nn.Conv2d(self.image_trunk.dimension, config.dimension, 1)
        self.audio_head = nn.Conv2d(self.audio_trunk.dimension, config.dimension, 1)
        self.margin = config.margin or MARGINS[config.objective]

    def visual(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> u (B, D, h, w)."""
        return self.image_head(self.image_trunk(image))

    def audio_cells(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> u (B, D, f, t)."""
        return self.audio_head(self.audio_trunk.cells(audio))

    def auditory(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> the mean of the cells (B, D)."""
        return self.audio_cells(audio).mean(dim=(2, 3))

    def clustered(self, cells: Tensor, clusters: int, option: str) -> SoftClusters:
        """Of u (B, D, h, w). InputError for fewer cells than clusters, naming the option that says how many."""
        config = self.config
        return soft_kmeans(cells.flatten(2).transpose(1, 2), clusters, config.rounds, config.sharpness, option)

    def _seen(self, visual: Tensor) -> SoftClusters:
        return self.clustered(visual, self.config.image_clusters, "method.image_clusters")

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        visual, heard = self.visual(image), self.audio_cells(audio)
        maps, score = self._answers(visual, self._sounds(heard))
        pooled = (cells.mean(dim=(2, 3)) for cells in (visual, heard))
        return Prediction(maps.amax(dim=1), score, *(unit(vectors) for vectors in pooled))

    def source_maps(self, batch: Batch, sources: int) -> SourceMaps:
        """A map for every cluster of the sound, of which there are as many as `sources`; all count the same."""
        heard = self.audio_cells(batch["audio"])
        ranked = self.config.objective == "ranking"
        sounds = self._sounds(heard) if ranked else self.clustered(heard, sources, MIXED).centres
        maps, _ = self._answers(self.visual(batch["image"]), sounds)
        return SourceMaps(maps, torch.ones(maps.shape[:2], device=maps.device))

    def _answers(self, visual: Tensor, sounds: Tensor) -> tuple[Tensor, Tensor]:
        """A map for every sound that is answered (B, J, h, w), and the confidence (B,): (B, D, h, w), (B, J, D)."""
        seen = self._seen(visual)
        chosen, score = self._chosen(seen.centres, sounds)
        rows = torch.arange(chosen.shape[0], device=chosen.device).unsqueeze(1)
        return seen.assignments[rows, chosen].unflatten(2, visual.shape[2:]), score

    def _sounds(self, heard: Tensor) -> Tensor:
        return self.clustered(heard, self.config.audio_clusters, "method.audio_clusters").centres

    def _chosen(self, seen: Tensor, sounds: Tensor) -> tuple[Tensor, Tensor]:
        """The image's clusters that answer its sounds (B, J), and the confidence (B,): (B, K, D), (B, J, D)."""
        if self.config.objective == "ranking":
            agreement = torch.cosine_similarity(seen, sounds, dim=2)
            return agreement.argmax(dim=1, keepdim=True), agreement.mean(dim=1)
        nearest, chosen = guarded_distances(seen, sounds).min(dim=1)
        return chosen, -nearest.square().sum(dim=1).sqrt()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        seen = self._seen(self.visual(batch["image"])).centres
        sounds = self._sounds(self.audio_cells(batch["audio"]))
        mismatched = draw_mismatches(batch["source"], self.config.mismatches)
        if self.config.objective == "ranking":
            return {"total": ranking_loss(seen, sounds, mismatched, self.margin)}
        return {"total": contrastive_loss(squared_distances(seen, sounds), mismatched, self.margin)}


def squared_distances(seen: Tensor, sounds: Tensor) -> Tensor:
    """D^2 of every image with every sound: (N, K, D), (M, J, D) -> (N, M)."""
    every = distances(seen.flatten(0, 1), sounds.flatten(0, 1)).unflatten(1, sounds.shape[:2])
    nearest = every.unflatten(0, seen.shape[:2]).amin(dim=1)  # (N, M, J)
    return nearest.square().sum(dim=2)


def ranking_loss(seen: Tensor, sounds: Tensor, mismatched: Tensor, margin: float) -> Tensor:
    """[margin + s_wrong - s_right]_+ of clusters of equal number: (B, K, D) twice, (B, B) bool -> scalar."""
    agreement = einsum("nkd,mkd->nmk", *(F.normalize(each.float(), dim=2) for each in (seen, sounds)))
    right = agreement.diagonal().T.unsqueeze(1)  # (B, 1, K)
    return masked_mean((margin + agreement - right).clamp(min=0).mean(dim=2), mismatched)
