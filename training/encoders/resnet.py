"""The residual trunk of the whole field: torchvision's ResNet blocks without head, cut and strided as papers need.

Two forks of ResNet-18 matter more than any loss: stage 4 at stride 32 (EZ-VSL, SLAVC,
FNAC; 7 x 7 maps of 224 px) or kept at stride 16 (LVS, SSL-TIE, alignment; 14 x 14). Fewer blocks, fewer stages or
narrower ones give the small trunks a laptop can train. Parameter names are torchvision's, so its weights load.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from training.config import Encoder


class StemConvolution(nn.Conv2d):
    """A trunk's first convolution, and the same sums as a matrix product where a GPU would compute them slowly.

    Tensor cores have nothing to do with one channel: of a step of EZ-VSL on an H200 the convolution of the spectrogram
    took 4.2 of 30 ms, the product of its windows with the weights takes a fraction of that.
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._product(input) if input.is_cuda and self.in_channels == 1 else super().forward(input)

    def _product(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, C, h, w), channels last."""
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))  # before the windows multiply it
        (high, wide), (down, right) = self.kernel_size, self.stride
        top, left = (int(border) for border in self.padding)
        padded = F.pad(x, (left, left, top, top)).squeeze(1)
        windows = padded.unfold(1, high, down).unfold(2, wide, right)
        return F.linear(windows.flatten(3), self.weight.flatten(1)).permute(0, 3, 1, 2)


class Trunk(nn.Module):
    """Stem and residual stages: (B, channels_in, H, W) -> (B, dimension, ceil(H / stride), ceil(W / stride)).

    The output is post-ReLU, hence not negative. `dimension` doubles with each stage, from `width` (64 in ResNet-18).
    """

    def __init__(self, encoder: Encoder, channels_in: int) -> None:
        super().__init__()
        width, self.stages = encoder.width, len(encoder.blocks)
        self.input_pool = nn.AvgPool2d(encoder.input_pool) if encoder.input_pool != (1, 1) else nn.Identity()
        self.conv1 = StemConvolution(channels_in, width, 7, stride=2, padding=3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.dimension = width
        for number, blocks in enumerate(encoder.blocks):
            stride = {0: 1, 3: encoder.last_stride}.get(number, 2)
            channels = width * 2**number
            self.add_module(f"layer{number + 1}", _stage(self.dimension, channels, blocks, stride))
            self.dimension = channels

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)

    def features(self, x: Tensor) -> Tensor:
        """The part of a trunk that `compile_trunks` compiles."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(self.input_pool(x)))))
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        return x


def _stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    """Residual blocks, the first of which may stride (no dilation anywhere) and widen, with a 1 x 1 shortcut."""
    shortcut = None
    if stride != 1 or channels_in != channels:
        shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
        )
    first = BasicBlock(channels_in, channels, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(channels, channels) for _ in range(blocks - 1)))


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
        super().__init__(encoder, channels_in=3)


class AudioTrunk(Trunk):
    """A trunk over one-channel spectrograms, ended by a global max pool: (B, 1, F, T) -> (B, dimension).

    The field's code names this pool `avgpool`; it is a maximum, and is never compiled: the compiler would compare cells
    it holds in float32 with a maximum rounded to bfloat16, find none equal, and divide the gradient by zero.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder, channels_in=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.amax(self.cells(x), dim=(2, 3))

    def cells(self, x: Tensor) -> Tensor:
        """What is pooled: (B, 1, F, T) -> (B, dimension, f, t)."""
        return self.features(x)
