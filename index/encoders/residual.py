"""torchvision's ResNet blocks without head, cut and strided as the field needs them; `training pretrain` trains one.

Parameter names are torchvision's, so its weights load.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from manifests.errors import InputError


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


class InputPool(nn.AvgPool2d):
    """The average pooling before a trunk. InputError for an input that holds none of its windows."""

    def forward(self, input: Tensor) -> Tensor:
        (high, wide), (rows, columns) = cast(tuple[int, int], self.kernel_size), input.shape[-2:]
        if rows < high or columns < wide:
            raise InputError(
                f"a trunk that pools {high} x {wide} values before it begins (input_pool) was given {rows} x "
                f"{columns}. Lower encoders.image.input_pool or encoders.audio.input_pool, or give it more: a larger "
                "data.image_size, or a longer sound where a method's sound_seconds or rate cuts it short."
            )
        return super().forward(input)


class Trunk(nn.Module):
    """Stem and residual stages: (B, channels_in, H, W) -> (B, dimension, ceil(H / stride), ceil(W / stride)).

    The output is post-ReLU, hence not negative. `dimension` doubles with each stage, from `width` (64 in ResNet-18).
    """

    def __init__(
        self,
        channels_in: int,
        blocks: Sequence[int],
        width: int = 64,
        last_stride: int = 2,
        input_pool: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.stages = len(blocks)
        self.input_pool = InputPool(input_pool) if input_pool != (1, 1) else nn.Identity()
        self.conv1 = StemConvolution(channels_in, width, 7, stride=2, padding=3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.dimension = width
        for number, count in enumerate(blocks):
            stride = {0: 1, 3: last_stride}.get(number, 2)
            channels = width * 2**number
            self.add_module(f"layer{number + 1}", _stage(self.dimension, channels, count, stride))
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
