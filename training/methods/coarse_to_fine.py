r"""CoarseToFine: multiple sound sources localization from coarse to fine (Qian et al., ECCV 2020, arXiv:2007.06355).

Mathematics, of the simplified version in the authors' repository. Stage 1 learns classes of sounds and of images, and
whether the two belong together. With A(p), V(p) the cells of a sound and of an image, a and v their means, K classes,

    L_a = BCE( sigma(C_a a), y )      L_v = BCE( sigma(C_v v), y )      C: a layer without bias for each
    L_avc = ( mean CE of matching pairs + mean CE of mismatched pairs ) / 2     of MLP([a, v]) with two outputs
    stage 1: L_a + L_v + L_avc

Stage 2 matches parts: cells weighed by a class's activation, sg holding it still, projected to unit vectors,

    cam_k(p) = sg[ (C A(p))_k ]_+      phi_k = sum_p A(p) cam_k(p) / sum_p cam_k(p)      e_k = norm W2 [W1 phi_k]_+
    D = |e^a_ik - e^v_jl|^2 over clips i, j and classes k, l that are heard and seen: sigma of their logits over 0.3
    L_d = mean D of the same clip and class + mean [1.4 - sqrt D]_+^2 of all other pairs
    stage 2: L_a + L_v + L_avc + L_d

Prediction, stage 2: map(p) = sum_k s_k [ <e^a_k, e^v(p)> ]_+ / sum_k s_k over the classes k that are heard (over 0.3,
and the loudest), s_k their probability. Stage 1 has no projections: the image's class activations, weighed by s_k.
Of a mixture each class that is heard is a source, with the map [ <e^a_k, e^v(p)> ]_+ (`source_maps`).

The stages are two runs: `coarse_to_fine.yaml`, then `coarse_to_fine_stage2.yaml` with `init_from` the first.

Deviations and choices where paper and released code differ:
- the paper's numbers are of a larger system: pretrained taggers of AudioSet and ImageNet for labels on the fly, a
  recurrent sound network, region proposals, gradient activations. This is the repository's later, simpler tree.
- labels: 7 categories of AudioSet there, one vector for image and sound (the authors' README allows it); here the
  shards' own (`classes`: how many), or groups of them (`data.label_groups`), or `labels: clusters`: k-means of what the
  image trunk gives before the first step, which uses no label at all.
- the code applies the logistic function twice before it combines maps, so that all classes always count; here once.
- the map is not divided by its maximum. As a confidence that is always 1, which made the benchmarking paper's AP 0.
- another clip's part of the same class counts as a mismatch, as in the code.
- sound: 5 s of 64 mel bands there; here what the shards hold.
- embeddings: of stage 2 the projections of the pooled cells, of stage 1 the class probabilities.
- confidence: the largest cell of the map.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from manifests.errors import InputError
from training.config import Encoders, Section
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Batch, Prediction, SourceMaps, TrainingClips
from training.parts.clustering import PseudoLabels, check_clusters, kmeans
from training.parts.pair_losses import draw_mismatches, masked_mean
from training.similarity import einsum, in_float32, max_response, unit

SMALLEST_SUM, SMALLEST_SQUARE = 1e-10, 1e-8


class Config(Section):
    """Options of CoarseToFine; the defaults are those of the simplified released code."""

    stage: Literal[1, 2] = 1
    classes: int = Field(7, gt=1, description="K; at least as many as the training clips have")
    labels: Literal["given", "clusters"] = Field("given", description="the shards', or k-means of image features")
    hidden: int = Field(1024, gt=0, description="of the projections of stage 2")
    dimension: int = Field(128, gt=0, description="of the common space, and of the hidden layer of pairs")
    heard_above: float = Field(0.3, gt=0, lt=1, description="probability from which a class counts as there")
    margin: float = Field(1.4, gt=0, description="distance of parts that do not match")


class Method(BaseMethod):
    """Classes first, then parts of a class."""

    config: Config
    least_clips = 2
    audio_entry = "cells"

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        seen, heard = self.image_trunk.dimension, self.audio_trunk.dimension
        self.image_classes = nn.Conv2d(seen, config.classes, 1, bias=False)
        self.audio_classes = nn.Conv2d(heard, config.classes, 1, bias=False)
        self.pairs = nn.Sequential(nn.Linear(heard + seen, config.dimension), nn.ReLU(), nn.Linear(config.dimension, 2))
        if config.stage == 2:
            self.image_parts, self.audio_parts = _projection(seen, config), _projection(heard, config)
        if config.labels == "clusters":
            self.pseudo_labels = PseudoLabels()
        else:
            self.needs, self.classes = frozenset({"labels"}), config.classes

    def check_clips(self, clips: TrainingClips) -> None:
        """InputError where they are fewer than their clusters, or an earlier stage has named others."""
        if self.config.labels != "clusters":
            return
        check_clusters("method.classes", self.config.classes, len(clips.rows), "training clips")
        if self.config.stage == 2 and len(self.pseudo_labels.rows) and not self._has_named(clips):
            raise InputError(
                f"the earlier stage has named {len(self.pseudo_labels.rows):,} clips, and they are not the "
                f"{len(clips.rows):,} training clips of this one. Stage 2 learns parts of classes that stage 1 has "
                "learned: give it the shards and the list of that run, or train stage 1 on these clips first."
            )

    def before_epoch(self, epoch: int, clips: TrainingClips) -> None:
        """Without labels, name the training clips once; a later stage keeps the names it was given."""
        if self.config.labels == "clusters" and not self._has_named(clips):
            features = clips.each(lambda batch: self.image_trunk(batch["image"]).mean(dim=(2, 3)))
            labels = kmeans(unit(features), self.config.classes, seed=0)
            self.pseudo_labels.renew(epoch, clips.rows, clips.sha256, labels)

    def _has_named(self, clips: TrainingClips) -> bool:
        return self.pseudo_labels.are_of(clips.rows, clips.sha256)

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        seen, heard = self.image_trunk(image), self.audio_trunk.cells(audio)
        maps = einsum("nk,nkhw->nhw", self._weights(heard), self.class_maps(seen, heard))
        return Prediction(maps, max_response(maps), *self._embeddings(seen, heard))

    def class_responses(self, batch: Batch) -> Tensor:
        """What of each class the map is made of, (B, K, h, w); they add up to it."""
        seen, heard = self.image_trunk(batch["image"]), self.audio_trunk.cells(batch["audio"])
        return self._weights(heard)[..., None, None] * self.class_maps(seen, heard)

    def source_maps(self, batch: Batch, sources: int) -> SourceMaps:
        """One for each class; how many are there, the sound itself says."""
        seen, heard = self.image_trunk(batch["image"]), self.audio_trunk.cells(batch["audio"])
        return SourceMaps(self.class_maps(seen, heard), self._weights(heard))

    def _weights(self, heard: Tensor) -> Tensor:
        """How much of what is heard each class is, of cells (B, A, f, t): (B, K), of sum 1, float32."""
        probability = torch.sigmoid(self.audio_classes(heard).mean(dim=(2, 3)).float())
        there = (probability > self.config.heard_above) | (probability == probability.amax(dim=1, keepdim=True))
        return probability * there / (probability * there).sum(dim=1, keepdim=True)

    def class_maps(self, seen: Tensor, heard: Tensor) -> Tensor:
        """One map for each class, of cells (B, C, h, w) and (B, A, f, t): (B, K, h, w), not negative."""
        if self.config.stage == 1:
            return self.image_classes(seen).float().clamp(min=0)
        cells = unit(self.image_parts(seen.movedim(1, 3)).movedim(3, 1).float())
        parts = self._parts(heard, self.audio_classes, self.audio_parts)
        return einsum("nkd,ndhw->nkhw", parts, cells).clamp(min=0)

    def _embeddings(self, seen: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        image, sound = seen.mean(dim=(2, 3)), heard.mean(dim=(2, 3))
        if self.config.stage == 2:
            return unit(self.image_parts(image).float()), unit(self.audio_parts(sound).float())
        own = self.image_classes(seen).mean(dim=(2, 3)), self.audio_classes(heard).mean(dim=(2, 3))
        return unit(torch.sigmoid(own[0].float())), unit(torch.sigmoid(own[1].float()))

    def _parts(self, cells: Tensor, classes: nn.Conv2d, projection: nn.Sequential) -> Tensor:
        """e_k of cells (B, C, h, w): unit vectors (B, K, D), float32."""
        activation = classes(cells).detach().float().clamp(min=0).flatten(2)
        mass = activation.sum(dim=2, keepdim=True)
        weighed = einsum("nkp,ncp->nkc", activation, cells.flatten(2)) / (mass + SMALLEST_SUM)
        return F.normalize(projection(weighed).float(), dim=2)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        seen, heard = self.image_trunk(batch["image"]), self.audio_trunk.cells(batch["audio"])
        image, sound = self.image_classes(seen).mean(dim=(2, 3)), self.audio_classes(heard).mean(dim=(2, 3))
        wanted = F.one_hot(self._labels(batch), self.config.classes).float()
        terms = {
            "image_classes": F.binary_cross_entropy_with_logits(image.float(), wanted),
            "audio_classes": F.binary_cross_entropy_with_logits(sound.float(), wanted),
            "pairs": self._pairs_loss(seen.mean(dim=(2, 3)), heard.mean(dim=(2, 3)), batch["source"]),
        }
        if self.config.stage == 2:
            heard_there, seen_there = (
                torch.sigmoid(logits.detach()) > self.config.heard_above for logits in (sound, image)
            )
            heard_parts = self._parts(heard, self.audio_classes, self.audio_parts)
            seen_parts = self._parts(seen, self.image_classes, self.image_parts)
            terms["parts"] = parts_loss(heard_parts, seen_parts, heard_there, seen_there, self.config.margin)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def _labels(self, batch: Batch) -> Tensor:
        return batch["label"] if self.config.labels == "given" else self.pseudo_labels.of(batch["row"])

    def _pairs_loss(self, seen: Tensor, heard: Tensor, source: Tensor) -> Tensor:
        """L_avc of means (B, C), (B, A); no opinion costs ln 2 whatever the number of clips."""
        size = len(seen)
        both = torch.cat([heard.unsqueeze(0).expand(size, -1, -1), seen.unsqueeze(1).expand(-1, size, -1)], dim=2)
        costs = -self.pairs(both).float().log_softmax(dim=2)  # (B, B, 2): rows are images; 1 is "they belong together"
        return (costs[..., 1].diagonal().mean() + masked_mean(costs[..., 0], draw_mismatches(source, "all"))) / 2


def parts_loss(heard: Tensor, seen: Tensor, heard_there: Tensor, seen_there: Tensor, margin: float) -> Tensor:
    """L_d of unit parts of sounds and images (B, K, D) and of which are there (B, K); a mean over no pair is 0."""
    with in_float32(heard):
        squares = (2 - 2 * heard.flatten(0, 1) @ seen.flatten(0, 1).T).clamp(min=0)
    valid = heard_there.flatten()[:, None] & seen_there.flatten()[None, :]
    same = torch.eye(len(squares), dtype=torch.bool, device=squares.device)
    apart = (margin - squares.clamp(min=SMALLEST_SQUARE).sqrt()).clamp(min=0).square()
    return masked_mean(squares, valid & same) + masked_mean(apart, valid & ~same)


def _projection(width: int, config: Config) -> nn.Sequential:
    first, second = nn.Linear(width, config.hidden, bias=False), nn.Linear(config.hidden, config.dimension, bias=False)
    return nn.Sequential(first, nn.ReLU(), second)
