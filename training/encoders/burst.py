"""A residual trunk over consecutive images: the image trunk's form, whose first convolution alone spans time.

A convolution over five images without a border in time is one over five times the channels, of every five images in a
row. Its first weights are the image trunk's, a fifth for each image: five equal images are seen as one is.
"""

import torch
from torch import Tensor

from index.encoders.residual import Trunk
from manifests.errors import InputError
from training.config import Encoder
from training.encoders.resnet import freeze, initialise
from training.encoders.weights import load_into, read_weights

FIRST = "conv1.weight"
SPAN = 5  # images that one step sees


class BurstTrunk(Trunk):
    """Consecutive images (B, N, 3, H, W) -> (B, N - 4, dimension, h, w), a grid as of the image trunk each."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(3 * SPAN, encoder.blocks, encoder.width, encoder.last_stride, encoder.input_pool)

    def forward(self, x: Tensor) -> Tensor:
        steps = torch.stack([x[:, first : first + SPAN].flatten(1, 2) for first in range(x.shape[1] - SPAN + 1)], dim=1)
        return super().forward(steps.flatten(0, 1)).unflatten(0, steps.shape[:2])


def build_burst_trunk(encoder: Encoder) -> BurstTrunk:
    """A trunk of the image encoder's form, frozen if the config says so. InputError for one that is no ResNet."""
    if encoder.layout != "resnet":
        raise InputError(
            f"consecutive images need a trunk of layout resnet, and encoders.image.layout is {encoder.layout}."
        )
    trunk = BurstTrunk(encoder)
    initialise(trunk)
    if encoder.weights != "none":
        state = read_weights(encoder.weights, encoder.blocks)
        load_into(trunk, state | {FIRST: spread(state[FIRST])}, encoder.weights)
    if encoder.frozen:
        freeze(trunk)
    return trunk


def spread(weight: Tensor) -> Tensor:
    """A convolution of one image, (C, 3, k, k), as one of five images: (C, 15, k, k)."""
    return weight.repeat(1, SPAN, 1, 1) / SPAN
