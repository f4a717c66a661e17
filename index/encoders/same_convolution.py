"""TensorFlow's "same" padding: what its released weights were trained with, and torch's layers cannot say."""

import torch.nn.functional as F
from torch import Tensor, nn


class SameConvolution(nn.Conv2d):
    """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride)): an odd zero more goes to the right and the bottom.

    The count of zeros depends on the size of what comes in, so that a stride of 2 looks elsewhere than with torch's
    symmetrical padding.
    """

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1, bias: bool = True
    ) -> None:
        super().__init__(channels_in, channels, kernel, stride, groups=groups, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        height, width = (self._zeros(axis, input.shape[axis - 2]) for axis in (0, 1))
        padded = F.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2))
        return self._conv_forward(padded, self.weight, self.bias)

    def _zeros(self, axis: int, size: int) -> int:
        reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        return max((-(-size // self.stride[axis]) - 1) * self.stride[axis] + reach - size, 0)
