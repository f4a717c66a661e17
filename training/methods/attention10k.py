r"""Attention10k: learning to localize sound source (Senocak et al., CVPR 2018, arXiv:1803.03849), unsupervised.

Mathematics. With v(x) the feature of an image at cell x (not of unit length), a the vector of a sound, W and U two
layers each with a ReLU between them,

    h = W a        r(x) = [ cos(v(x), h) ]_+        alpha = softmax_x(r)        z = sum_x alpha(x) v(x)        f = U
    [z]_+

the sound attends to the image, and what it attends to must be nearer to it than to the sound of another clip:

    d+ = |f/|f| - a+/|a+||     d- likewise with another sound a-
    loss = |softmax(d+, d-) - (0, 1)|^2 = 2 sigma(d+ - d-)^2                     (0.5 where nothing is learned)

The softmax has no temperature and r lies in [0, 1], so that no cell weighs e times another's: the attention is broad by
construction. Prediction: the map r, which ranks cells as alpha does.

Deviations and choices where paper and released code differ:
- trunks: VGG-16 up to conv5_3 at 320 px in the paper, frozen; here the run's (`encoders.image.frozen` freezes one).
  a is a fixed SoundNet vector of 20 s of sound there; here the sound trunk learns, from what the shards hold.
- unit length: the code takes distances of raw vectors, whose target is fixed. A sound that is learned could grow until
  the logistic saturates, so lengths are 1 here and d lies in [0, 2].
- loss: the paper's square of the norm, 2 sigma^2; the code averages the two entries, which is half of it.
- the first of the paper's two attention mechanisms has no ReLU before the softmax; this is the second, the better one.
- `variant: dsol_released` is the "Attention" row of DSOL's tables, which is not this loss: W and U end in a ReLU, there
  is none before the softmax, z is of unit features, a mismatched sound attends to the image by itself, and raw vectors
  learn by Hadsell's contrast of |f - a| with margin 10. `variant: dsol` is an earlier reading of it here: W ends
  without a ReLU, and a mismatched sound meets what the own one attends to.
- images: whole frames made square and not augmented, as in the paper.
- mismatches: `one` other clip of the batch for each, as in the paper; `all` is another, often stronger method.
- the supervised and the semi-supervised version (annotated maps) are not part of this file.
- embeddings: f of an image pooled evenly, since its own attention would tell it which sound is right.
- several sources: there is one map, whatever the number of sources.
- confidence: the method has none; the largest r is used, not alpha, which sums to 1 whatever is heard.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from training.config import Encoders, Section
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Batch, Prediction
from training.parts.pair_losses import contrastive_loss, distance_ratio_loss, draw_mismatches
from training.similarity import cosine_maps, distances, einsum, max_response, paired_maps, unit


class Config(Section):
    """Options of Attention10k."""

    variant: Literal["paper", "dsol_released", "dsol"] = Field(
        "paper", description="dsol_released: the row of that name in DSOL's tables; dsol: nearly, see the page"
    )
    margin: float = Field(10.0, gt=0, description="of the variants of DSOL")
    mismatches: Literal["one", "all"] = Field("one", description="other clips of the batch that an image is shown with")


class Method(BaseMethod):
    """A sound pools an image by attention; what is pooled must be nearer to it than to another sound."""

    config: Config
    least_clips = 2

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        channels, heard = self.image_trunk.dimension, self.audio_trunk.dimension
        self.query = _layers(heard, channels, rectified=config.variant == "dsol_released")
        self.describe = _layers(channels, heard, rectified=config.variant != "paper")

    def visual(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> v (B, C, h, w), not normalised."""
        return self.image_trunk(image)

    def auditory(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> h of unit length (B, C), what cells are compared with."""
        return unit(self.query(self.audio_trunk(audio)))

    def agreement(self, visual: Tensor, query: Tensor) -> Tensor:
        """r of each image with its own sound: (B, C, h, w), unit (B, C) -> (B, h, w)."""
        maps = paired_maps(unit(visual), query)
        return maps.clamp(min=0) if self.config.variant == "paper" else maps

    def attended(self, visual: Tensor, maps: Tensor) -> Tensor:
        """f of what maps of each image attend to: (B, C, h, w), (B, ..., h, w) -> (B, ..., A)."""
        weights = maps.flatten(-2).softmax(dim=-1)
        cells = visual if self.config.variant == "paper" else unit(visual)
        return self.describe(einsum("ncp,n...p->n...c", cells.flatten(2), weights).clamp(min=0))

    def distances_of_pairs(self, visual: Tensor, heard: Tensor) -> Tensor:
        """|f - a| of every image with every sound, which attends to it: (B, C, h, w), (B, A) -> (B, B)."""
        described = self.attended(visual, cosine_maps(unit(visual), unit(self.query(heard))))
        return distances(described.transpose(0, 1), heard[:, None]).squeeze(-1).T

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        visual, heard = self.visual(image), self.audio_trunk(audio)
        maps = self.agreement(visual, unit(self.query(heard)))
        seen = self.attended(visual, torch.zeros_like(maps))
        return Prediction(maps, max_response(maps), unit(seen), unit(heard))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        visual, heard = self.visual(batch["image"]), self.audio_trunk(batch["audio"])
        mismatched = draw_mismatches(batch["source"], self.config.mismatches)
        if self.config.variant == "dsol_released":
            squared = self.distances_of_pairs(visual, heard).square()
            return {"total": contrastive_loss(squared, mismatched, self.config.margin)}
        described = self.attended(visual, self.agreement(visual, unit(self.query(heard))))
        if self.config.variant == "dsol":
            return {"total": contrastive_loss(distances(described, heard).square(), mismatched, self.config.margin)}
        return {"total": distance_ratio_loss(distances(unit(described), unit(heard)), mismatched)}


def _layers(given: int, wanted: int, rectified: bool) -> nn.Sequential:
    """Two layers, the first as wide as what it is given."""
    last = [nn.ReLU()] if rectified else []
    return nn.Sequential(nn.Linear(given, given), nn.ReLU(), nn.Linear(given, wanted), *last)
