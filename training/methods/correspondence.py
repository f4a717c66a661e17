"""What Objects that Sound and DSOL share: two projections, a product for each cell, and "do they belong together".

Not a method but the network both stand on. The logit of a cell is an affine function of a product, an image belongs to
a sound when one of its cells does, and that is learned from matching and mismatched pairs:

    l(x) = sigma(scale <v(x), a> + bias)        loss = ( BCE(max_x l, 1) of matching + BCE(max_x l, 0) of mismatched )
    / 2
"""

import torch
from torch import Tensor, nn

from training.config import Encoders
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Batch, Prediction
from training.parts.pair_losses import Mismatches, draw_mismatches, match_loss
from training.similarity import cosine_maps, max_response, paired_maps, unit


class CorrespondenceMethod(BaseMethod):
    """Trunks, two layers each to `dimension`, a scale and perhaps a bias.

    cosine: products are of unit vectors. rectified: a ReLU between the image's two layers, too. bias: None has none.
    """

    least_clips = 2

    def __init__(
        self, config: object, encoders: Encoders, dimension: int, *,
        cosine: bool, rectified: bool, scale: float, bias: float | None,
    ) -> None:  # fmt: skip
        super().__init__(config, encoders)
        self.cosine = cosine
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        between = [nn.ReLU()] if rectified else []
        self.image_head = nn.Sequential(
            nn.Conv2d(self.image_trunk.dimension, dimension, 1), *between, nn.Conv2d(dimension, dimension, 1)
        )
        self.audio_head = nn.Sequential(
            nn.Linear(self.audio_trunk.dimension, dimension), nn.ReLU(), nn.Linear(dimension, dimension)
        )
        self.scale = nn.Parameter(torch.tensor(scale))
        self.bias = nn.Parameter(torch.tensor(bias)) if bias is not None else None

    def visual(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> v (B, D, h, w)."""
        return self.projected_image(self.image_trunk(image))

    def auditory(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> a (B, D)."""
        return self.projected_audio(self.audio_trunk(audio))

    def projected_image(self, features: Tensor) -> Tensor:
        """Of the trunk's features: (B, C, h, w) -> v (B, D, h, w)."""
        visual = self.image_head(features)
        return unit(visual) if self.cosine else visual

    def projected_audio(self, features: Tensor) -> Tensor:
        """Of the trunk's features: (B, C) -> a (B, D)."""
        auditory = self.audio_head(features)
        return unit(auditory) if self.cosine else auditory

    def logits(self, products: Tensor) -> Tensor:
        """Of products of cells and sounds, of any shape, float32."""
        scaled = self.scale.float() * products
        return scaled if self.bias is None else scaled + self.bias.float()

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        visual, auditory = self.visual(image), self.auditory(audio)
        maps = torch.sigmoid(self.logits(paired_maps(visual, auditory)))
        return Prediction(maps, max_response(maps), unit(visual.mean(dim=(2, 3))), unit(auditory))

    def correspondence_loss(self, visual: Tensor, auditory: Tensor, batch: Batch, mismatches: Mismatches) -> Tensor:
        """Of v (B, D, h, w) and a (B, D) of a batch: -> scalar; logits of 0 give ln 2."""
        responses = max_response(self.logits(cosine_maps(visual, auditory)))
        return match_loss(responses, draw_mismatches(batch["source"], mismatches))
