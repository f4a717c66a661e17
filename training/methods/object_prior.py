r"""Object prior: where a classifier sees something, whatever the sound. EZ-VSL's L1 prior alone (arXiv:2203.09324).

Mathematics. With F(x) the features of the image trunk's last stage at cell x, C channels,

    map(x) = (1 / C) sum_c |F_c(x)|

Encoders: the image trunk of the run with the weights it comes with, frozen (ImageNet's in the paper); no sound is
heard and nothing is trained. Audio-free, it scores 36.77 cIoU on VGG-SS in EZ-VSL's ablation, above most methods
of its time. As a part of other methods' evaluation the same map is `training/object_prior.py`.

Deviations and choices where paper and released code differ:
- the paper says L1 norm, the code takes the mean: they differ by the factor C, which no rank rule sees.
- the class-posterior prior is an option of the evaluation's object prior, not of this baseline.
- confidence: the maximum of the map; sounds are embedded alike, so retrieval by sound is chance.
"""

import torch
from torch import Tensor

from training.config import Encoders, Section
from training.encoders.resnet import freeze
from training.encoders.weights import build_image_trunk
from training.methods.contract import BaseMethod, Prediction
from training.similarity import max_response, unit


class Config(Section):
    """The prior has no options but its trunk, `encoders.image`."""


class Method(BaseMethod):
    """Mean activation of a classifier's last stage."""

    config: Config

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        freeze(self.image_trunk)

    @torch.no_grad()
    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        features = self.image_trunk(image)
        maps = features.abs().mean(dim=1)
        pooled = features.mean(dim=(2, 3))
        return Prediction(maps, max_response(maps), unit(pooled), unit(torch.ones_like(pooled)))
