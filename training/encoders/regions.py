"""Features of regions of an image: maxima over a pyramid of cells, as spatial pyramid pooling takes them."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

SIDE = 4  # cells of the finest level
PYRAMID_CELLS = 1 + 4 + 16  # of levels with 1, 2 and 4 cells a side


def pyramid(features: Tensor, boxes: Tensor) -> Tensor:
    """Regions (B, K, 4), fractions, of cells (B, C, h, w) -> (B, K, 21 * C), float32.

    The finest level holds means of four bilinear samples a cell, coarser ones the maxima of these; a region is at
    least one cell of the features wide.
    """
    size = boxes.new_tensor([features.shape[3], features.shape[2]] * 2)
    corners = boxes * size
    middle, half = (corners[..., :2] + corners[..., 2:]) / 2, (corners[..., 2:] - corners[..., :2]).clamp(min=1) / 2
    wide = list(torch.cat([middle - half, middle + half], dim=2).float())
    # pyrefly: ignore[not-callable]  # torchvision exports a function and a module of this name
    finest = roi_align(features.float(), wide, output_size=SIDE, sampling_ratio=2, aligned=True)
    levels = [F.max_pool2d(finest, SIDE // cells).flatten(1) for cells in (1, 2, 4)]
    return torch.cat(levels, dim=1).unflatten(0, boxes.shape[:2])
