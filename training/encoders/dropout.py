"""Dropout whose mask is drawn on the CPU, so that a CPU and any GPU train on the very same draws.

The loop seeds torch's CPU generator per (seed, step, replica); the mask is drawn there and applied on the device
(about 20 ms for 128 feature maps of 512 x 7 x 7, in bytes).
"""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zero each element with `probability` and scale the rest by 1 / (1 - probability), in training mode only."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return features
        kept = torch.empty(features.shape, dtype=torch.bool).bernoulli_(1 - self.probability)
        return features * kept.to(features.device) / (1 - self.probability)

    def extra_repr(self) -> str:
        return f"probability={self.probability}"
