"""Maps of consecutive images, averaged along the paths of what is seen there.

Letters: B clips, N maps of h x w cells, each of one image, the middle one of the clip's own.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from index.encoders.imagenet import DEVIATION, MEAN
from pipeline.media.optical_flow import check_optical_flow, optical_flow


def check_tracing(option: str) -> None:
    """InputError that names the option which asks for it, where the library for optical flow is not there."""
    check_optical_flow(option)


def along(maps: Tensor, later: Sequence[Tensor], earlier: Sequence[Tensor]) -> Tensor:
    """The mean of maps (B, N, h, w) along the paths that go through the cells of the middle one: (B, h, w).

    later, earlier: how far what is seen moves right and down, (B, 2, ., .) in sides of the image, from the middle image
    to the next one and so on, and to the one before and so on. Beyond the border there is nothing to average.
    """
    middle = maps.shape[1] // 2
    total = maps[:, middle].clone()
    seen = torch.ones_like(total)
    for way, moves in ((1, later), (-1, earlier)):
        places = _centres(maps)
        for step, move in enumerate(moves, start=1):
            places = places + _at(move, places).movedim(1, 3)
            inside = ((places >= 0) & (places <= 1)).all(dim=3)
            total += _at(maps[:, middle + way * step].unsqueeze(1), places).squeeze(1) * inside
            seen += inside
    return total / seen


def movements(images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """`later` and `earlier` for `along`, of normalised images (B, N, 3, S, S); float32 on their device."""
    pixels, middle, last = _pixels(images), images.shape[1] // 2, images.shape[1] - 1

    def move(step: int, following: int) -> Tensor:
        fields = [optical_flow(clip[step], clip[following], 1.0) for clip in pixels]
        return torch.from_numpy(np.stack(fields).astype(np.float32)).to(images.device)

    later = [move(step, step + 1) for step in range(middle, last)]
    return later, [move(step, step - 1) for step in range(middle, 0, -1)]


def _pixels(images: Tensor) -> np.ndarray:
    """Normalised images (B, N, 3, S, S) as uint8 (B, N, S, S, 3) again."""
    mean, deviation = (torch.tensor(each, device=images.device).view(3, 1, 1) for each in (MEAN, DEVIATION))
    bright = (images.float() * deviation + mean).mul(255).round().clamp(0, 255)
    return bright.to(torch.uint8).movedim(2, 4).cpu().numpy()


def _centres(maps: Tensor) -> Tensor:
    """Of the cells of maps (B, N, h, w): x, y (B, h, w, 2) as fractions of the image."""
    height, width = maps.shape[2:]
    y = (torch.arange(height, device=maps.device) + 0.5) / height
    x = (torch.arange(width, device=maps.device) + 0.5) / width
    grid = torch.stack([x.expand(height, -1), y.unsqueeze(1).expand(-1, width)], dim=2)
    return grid.expand(len(maps), -1, -1, -1)


def _at(fields: Tensor, places: Tensor) -> Tensor:
    """What lies at places (B, h, w, 2) of fields (B, C, ., .): (B, C, h, w), between cells and the border's beyond."""
    return F.grid_sample(fields, 2 * places - 1, mode="bilinear", padding_mode="border", align_corners=False)
