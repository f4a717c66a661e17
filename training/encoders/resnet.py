"""The residual trunk of the whole field, for images and for sounds, its initialisation, and how a trunk is frozen.

Two forks of ResNet-18 matter more than any loss: stage 4 at stride 32 (EZ-VSL, SLAVC, FNAC; 7 x 7 maps of 224 px) or
kept at stride 16 (LVS, SSL-TIE, alignment; 14 x 14). Fewer blocks, fewer stages or narrower ones give the small trunks
a laptop can train.
"""

import torch
from torch import Tensor, nn

from index.encoders.residual import Trunk
from training.config import Encoder
from training.encoders.kept import hands_on_features


def initialise(module: nn.Module) -> None:
    """The family's initialisation: kaiming-normal (fan out) convolutions, batch norm N(1, 0.02), linear N(0, 0.01)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=0.01)


def freeze(module: nn.Module) -> None:
    """Take a trunk out of training: no gradients, and batch norm keeps the statistics it came with."""
    module.requires_grad_(False)
    module.eval()
    module.train = lambda mode=True: module  # a parent's train() must not wake batch norm up


class ImageTrunk(Trunk):
    """A trunk over RGB images."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(3, encoder.blocks, encoder.width, encoder.last_stride, encoder.input_pool)

    @hands_on_features
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class AudioTrunk(Trunk):
    """A trunk over one-channel spectrograms, ended by a global max pool: (B, 1, F, T) -> (B, dimension).

    The field's code names this pool `avgpool`; it is a maximum, and is never compiled: the compiler would compare cells
    it holds in float32 with a maximum rounded to bfloat16, find none equal, and divide the gradient by zero.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(1, encoder.blocks, encoder.width, encoder.last_stride, encoder.input_pool)

    @hands_on_features
    def forward(self, x: Tensor) -> Tensor:
        return torch.amax(self.cells(x), dim=(2, 3))

    @hands_on_features
    def cells(self, x: Tensor) -> Tensor:
        """What is pooled: (B, 1, F, T) -> (B, dimension, f, t)."""
        return self.features(x)
