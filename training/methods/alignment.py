r"""Alignment: localization is all about cross-modal alignment (Senocak et al., ICCV 2023, arXiv:2309.10724).

Mathematics. Every clip has up to three images, V = {own, augmented, conceptual}, and three sounds, A likewise: a
SimCLR view and a shifted window of its own, and a nearest neighbour of each modality. With v(x) the feature of a
image at cell x, a the vector of a sound, and the projections p_v, p_a,

    s_L(v, a) = (1 / |M|) sum_{x in M} cos(v(x), a)          s_A(v, a) = cos(p_v(mean_x v(x)), p_a(a))
    N(s) = -mean_i log softmax_j( s(v_i, a_j) / temperature )_i
    loss = sum over the 9 pairs (v, a) of V x A of  N(s_L) + N(s_A)

Every positive pair has to win by itself (a sum of logarithms), each against the sounds of the same kind of the other
clips. `semantic`, `multiview` and `feature_alignment` take the conceptual pair, the augmented pair and s_A out: the
rows of the paper's ablation table. Its k, how many neighbours a conceptual positive is drawn from, belongs to the data.

Encoders: two ResNet-18 from scratch, images at stride 16 (14 x 14 maps), sounds ended by a global max pool; no head
on the way to the map. p_v and p_a are linear layers. Prediction: the cosine map of v and a. Embeddings: p_v and p_a
(the pooled features themselves without feature alignment).

Deviations and choices where paper and released code differ:
- localization: `mean` is the paper's text, which sets M to 1 everywhere, so that s_L is the mean of the cosine map.
  `softmask` is the network class that was released (LVS's: mean over the sigmoid mask, 0.65 and 0.03); only its
  inference is public. EZ-VSL reports that a mean of the map hardly localizes (6.03 cIoU), so the released checkpoints
  may well come from the soft mask.
- direction: `image`, an image against all sounds, is the printed loss; `symmetric` is the mean of both directions,
  which the paper mentions as an extension.
- depth and width of the projections are not given; one linear layer to `dimension` each. The image is averaged
  before its projection, as printed (an unofficial re-implementation takes the maximum).
- how the own image is cut is not stated: short side to 1.1 x size, crop and flip, as LVS; the SimCLR view is cut from
  that square.
- the negatives of a pair are other clips' sounds of the same kind (own, augmented or conceptual); not stated.
- a conceptual positive may resemble another clip of the batch; `exclude` takes such clips, or clips of the same source
  video, out of the negatives. The paper does not (default: none).
- a shard holds one window of three seconds, so the shifted window is that window turned in a circle.
- each kind of image and of sound passes the trunk by itself, with its own batch-norm statistics; not stated.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).

Memory: s_L as a mean needs no maps at all (the mean of cosines is the cosine with the mean of the unit features); as
a soft mask, one pair's maps are alive at a time, and are computed again for the gradient.
"""

from collections.abc import Callable
from itertools import product
from typing import Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from training.config import AudioPolicyName, Encoders, ImagePolicyName, Section
from training.encoders.resnet import initialise
from training.losses import info_nce, symmetric_info_nce
from training.methods.contract import Batch, Exclusion, Prediction, excluded
from training.methods.headless import HeadlessMethod
from training.similarity import cosine_maps, cosines, max_response, paired_maps, soft_masked_response, unit

Similarity = Callable[[Tensor, Tensor], Tensor]
Source = Literal["augmented", "neighbours"]
SOURCES: dict[str, Source | None] = {
    "own": None,
    "augmented": "augmented",
    "conceptual": "neighbours",
}  # kind of view -> field of the batch


class Config(Section):
    """Options of cross-modal alignment; the defaults are the paper's."""

    temperature: float = Field(0.07, gt=0)
    localization: Literal["mean", "softmask"] = Field(
        "mean", description="pooling of the map in s_L: the paper's text; softmask: the released network class"
    )
    mask_threshold: float = Field(0.65, ge=-1, le=1, description="of softmask")
    mask_temperature: float = Field(0.03, gt=0, description="of softmask")
    semantic: bool = Field(True, description="conceptual positives: a neighbour's image, a neighbour's sound")
    multiview: bool = Field(True, description="augmented positives: a SimCLR view, a shifted window")
    image_policy: ImagePolicyName = Field("simclr", description="how an augmented image is made")
    audio_policy: AudioPolicyName = Field("time_shift", description="how an augmented sound is made")
    feature_alignment: bool = Field(True, description="s_A beside s_L")
    dimension: int = Field(512, gt=0, description="of the projections")
    direction: Literal["image", "symmetric"] = "image"
    exclude: tuple[Exclusion, ...] = Field(
        (), description="no negatives: clips near in appearance, near in sound, from the same source video"
    )


class Method(HeadlessMethod):
    """Contrastive learning of where and of what, over several positives per modality."""

    config: Config
    least_clips = 2

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        if config.feature_alignment:
            self.image_projection = nn.Linear(self.image_trunk.dimension, config.dimension)
            self.audio_projection = nn.Linear(self.audio_trunk.dimension, config.dimension)
            initialise(self.image_projection)
            initialise(self.audio_projection)
        wanted = {"augmented": config.multiview, "neighbours": config.semantic, "exclusions": bool(config.exclude)}
        self.needs = frozenset(name for name, used in wanted.items() if used)
        self.augmented_policies = (config.image_policy, config.audio_policy)

    def auditory(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> vectors (B, C), not normalised."""
        return self.audio_trunk(audio)

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        visual, auditory = self.visual(image), self.auditory(audio)
        maps = paired_maps(unit(visual), unit(auditory))
        return Prediction(maps, max_response(maps), self.global_visual(visual), self.global_auditory(auditory))

    def global_visual(self, visual: Tensor) -> Tensor:
        """What is seen, as a whole: (B, C, h, w) -> unit vectors (B, D)."""
        pooled = visual.mean(dim=(2, 3))
        return unit(self.image_projection(pooled) if self.config.feature_alignment else pooled)

    def global_auditory(self, auditory: Tensor) -> Tensor:
        """What is heard: (B, C) -> unit vectors (B, D)."""
        return unit(self.audio_projection(auditory) if self.config.feature_alignment else auditory)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        fields = [batch if source is None else batch[source] for source in self._sources()]
        visual = [self.visual(field["image"]) for field in fields]
        auditory = [self.auditory(field["audio"]) for field in fields]
        local = [unit(v) for v in visual], [unit(a) for a in auditory]
        terms = {"localization": self._over_pairs(self.localization_similarity, *local, batch)}
        if self.config.feature_alignment:
            whole = [self.global_visual(v) for v in visual], [self.global_auditory(a) for a in auditory]
            terms["alignment"] = self._over_pairs(alignment_similarity, *whole, batch)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def _sources(self) -> list[Source | None]:
        used = {"own": True, "augmented": self.config.multiview, "conceptual": self.config.semantic}
        return [source for kind, source in SOURCES.items() if used[kind]]

    def localization_similarity(self, visual: Tensor, auditory: Tensor) -> Tensor:
        """s_L of every image with every sound, from unit features: (B, C, h, w), (B, C) -> (B, B)."""
        if self.config.localization == "mean":
            return cosines(visual.mean(dim=(2, 3)), auditory)
        return cast(Tensor, checkpoint(self._soft_masked, visual, auditory, use_reentrant=False))

    def _soft_masked(self, visual: Tensor, auditory: Tensor) -> Tensor:
        maps = cosine_maps(visual, auditory)
        return soft_masked_response(maps, self.config.mask_threshold, self.config.mask_temperature)

    def _over_pairs(self, similarity: Similarity, images: list[Tensor], auditory: list[Tensor], batch: Batch) -> Tensor:
        """Sum of the contrastive loss over all pairs of a kind of image with a kind of sound."""
        losses = [self._contrast(similarity(seen, heard), batch) for seen, heard in product(images, auditory)]
        return torch.stack(losses).sum()

    def _contrast(self, similarities: Tensor, batch: Batch) -> Tensor:
        logits, near = similarities.float() / self.config.temperature, excluded(batch, self.config.exclude)
        return info_nce(logits, near) if self.config.direction == "image" else symmetric_info_nce(logits, near) / 2


def alignment_similarity(seen: Tensor, heard: Tensor) -> Tensor:
    """s_A of every image with every sound, from unit vectors: (B, D), (B, D) -> (B, B)."""
    return cosines(seen, heard)
