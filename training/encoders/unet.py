"""The U-Net of PixelPlayer: from a spectrogram down to a few cells and up again, with a copy of each level handed
across."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.2
MOST = 8  # the widest level has so many times the first one's channels


class UNet(nn.Module):
    """(B, 1, R, T) -> (B, `channels`, R, T); both sides must be multiples of 2 ** levels."""

    def __init__(self, channels: int, width: int, levels: int) -> None:
        super().__init__()
        sizes = [1] + [width * min(2**level, MOST) for level in range(levels)]
        self.levels, inner = levels, levels - 1
        self.normalised = nn.BatchNorm2d(1)
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(sizes[level], sizes[level + 1], 4, stride=2, padding=1, bias=level in (0, inner)),
                nn.Identity() if level in (0, inner) else nn.BatchNorm2d(sizes[level + 1]),
            )
            for level in range(levels)
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(sizes[level + 1] * (1 if level == inner else 2), sizes[level] if level else channels, 3,
                          padding=1, bias=level == 0),
                nn.BatchNorm2d(sizes[level]) if level else nn.Identity(),
            )
            for level in range(levels)
        )  # fmt: skip
        initialise_separation(self)

    def forward(self, x: Tensor) -> Tensor:
        x, across = self.normalised(x), list[Tensor]()
        for level, part in enumerate(self.down):
            x = part(F.leaky_relu(x, LEAK) if level else x)
            across.append(x)
        for level in reversed(range(self.levels)):
            x = self.up[level](F.interpolate(torch.relu(x), scale_factor=2, mode="bilinear", align_corners=True))
            x = torch.cat([across[level - 1], x], dim=1) if level else x
        return x


def initialise_separation(module: nn.Module) -> None:
    """First weights of PixelPlayer's own layers: convolutions N(0, 0.001), batch norm N(1, 0.02)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, 1e-3)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
            nn.init.zeros_(part.bias)
