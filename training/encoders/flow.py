"""A residual trunk over optical flow: the image trunk's form with two channels in place of three, and its weights but
for the first convolution, which has to begin anew."""

import torch.nn.functional as F
from torch import Tensor

from index.encoders.residual import Trunk
from manifests.errors import InputError
from training.config import Encoder
from training.encoders.resnet import initialise
from training.encoders.weights import load_into, read_weights

FIRST = "conv1.weight"


class FlowTrunk(Trunk):
    """Flow (B, 2, H, W), a cell for each pixel of an image -> (B, dimension, h, w), the grid of the image's trunk."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(2, encoder.blocks, encoder.width, encoder.last_stride, encoder.input_pool)


def build_flow_trunk(encoder: Encoder) -> FlowTrunk:
    """A trained trunk of the image encoder's form. InputError for one that is no ResNet."""
    if encoder.layout != "resnet":
        raise InputError(f"flow needs a trunk of layout resnet, and encoders.image.layout is {encoder.layout}.")
    trunk = FlowTrunk(encoder)
    initialise(trunk)
    if encoder.weights != "none":
        own = {FIRST: trunk.state_dict()[FIRST]}
        load_into(trunk, read_weights(encoder.weights, encoder.blocks) | own, encoder.weights)
    return trunk


def enlarged(flow: Tensor, image: Tensor) -> Tensor:
    """Flow (B, 2, h, w) with a cell for each pixel of its image (B, 3, H, W): (B, 2, H, W)."""
    return F.interpolate(flow, size=image.shape[-2:], mode="bilinear", align_corners=False)
