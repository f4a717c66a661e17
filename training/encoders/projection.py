"""A trained linear map behind a trunk: frozen trunks of any widths then serve methods that compare their features.

LVS's family has no heads: it takes cosines of the trunks' own features, which have as many channels for images as for
sounds and are not negative. A trunk with `projection: D` gives D of them.
"""

from typing import cast

import torch
from torch import Tensor, nn

from training.encoders.resnet import initialise


class ProjectedTrunk(nn.Module):
    """`trunk`, one linear map of its channels, ReLU: (B, D, h, w) of an image trunk, (B, D) of an audio trunk."""

    def __init__(self, trunk: nn.Module, dimension: int) -> None:
        super().__init__()
        self.trunk, self.dimension = trunk, dimension
        self.projection = nn.Linear(cast(int, trunk.dimension), dimension)
        initialise(self.projection)

    def forward(self, x: Tensor) -> Tensor:
        return self._projected(self.trunk(x))

    def cells(self, audio: Tensor) -> Tensor:
        """What an audio trunk pools, projected cell by cell: (B, 1, F, T) -> (B, D, f, t)."""
        return self._projected(cast(Tensor, self.trunk.cells(audio)))  # pyrefly: ignore[not-callable]

    def _projected(self, features: Tensor) -> Tensor:
        return torch.relu(self.projection(features.movedim(1, -1)).movedim(-1, 1))
