"""A trunk over consecutive images: the image trunk's form, whose first convolution alone spans time.

A convolution over five images without a border in time is one over five times the channels, of every five images in a
row. Its first weights are the image trunk's, a fifth for each image: five equal images are seen as one is.
"""

import torch
from torch import Tensor

from index.encoders.efficientnet_lite import EfficientNetLite0
from index.encoders.residual import Trunk
from index.encoders.same_convolution import SameConvolution
from manifests.errors import InputError
from training.config import Encoder
from training.encoders.resnet import freeze, initialise
from training.encoders.weights import OTHERWISE, STRIDES, first_weights, load_into

FIRST = {"resnet": "conv1.weight", "efficientnet_lite0": "conv_stem.weight"}  # the first convolution, by layout
SPAN = 5  # images that one step sees


class BurstTrunk(Trunk):
    """Consecutive images (B, N, 3, H, W) -> (B, N - 4, dimension, h, w), a grid as of the image trunk each."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(3 * SPAN, encoder.blocks, encoder.width, encoder.last_stride, encoder.input_pool)

    def forward(self, x: Tensor) -> Tensor:
        steps = in_steps(x)
        return super().forward(steps.flatten(0, 1)).unflatten(0, steps.shape[:2])


class BurstEfficientNet(EfficientNetLite0):
    """The same of EfficientNet-Lite0."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(STRIDES[encoder.last_stride])
        stem = self.conv_stem
        self.conv_stem = SameConvolution(3 * SPAN, stem.out_channels, stem.kernel_size[0], stem.stride[0], bias=False)
        self.factor, self.shift = (each.repeat(1, SPAN, 1, 1) for each in (self.factor, self.shift))

    def forward(self, image: Tensor) -> Tensor:
        steps = in_steps(image)
        return super().forward(steps.flatten(0, 1)).unflatten(0, steps.shape[:2])


def in_steps(x: Tensor) -> Tensor:
    """Consecutive images (B, N, 3, H, W) -> every SPAN of them in a row: (B, N - 4, 15, H, W)."""
    return torch.stack([x[:, first : first + SPAN].flatten(1, 2) for first in range(x.shape[1] - SPAN + 1)], dim=1)


def build_burst_trunk(encoder: Encoder) -> BurstTrunk | BurstEfficientNet:
    """A trunk of the image encoder's form, frozen if the config says so. InputError for a form that has none."""
    if encoder.layout not in FIRST:
        raise InputError(
            f"consecutive images need a trunk of layout {' or '.join(FIRST)}, and encoders.image.layout is "
            f"{encoder.layout}."
        )
    trunk = BurstTrunk(encoder) if encoder.layout == "resnet" else BurstEfficientNet(encoder)
    initialise(trunk)
    if encoder.weights != "none":
        state, first = first_weights(encoder, OTHERWISE.format("image")), FIRST[encoder.layout]
        load_into(trunk, state | {first: spread(state[first])}, encoder.weights)
    if encoder.frozen:
        freeze(trunk)
    return trunk


def spread(weight: Tensor) -> Tensor:
    """A convolution of one image, (C, 3, k, k), as one of five images: (C, 15, k, k)."""
    return weight.repeat(1, SPAN, 1, 1) / SPAN
