"""The best peaks of a map that lie apart, and the part of the map that belongs to each. Pure functions.

Letters: B maps of h x w cells, N peaks at most. A peak's number is its place by height, 0 the highest. Distances are
city-block, in heights of the map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

NONE = -1  # in place of a peak's cell


def peaks(maps: Tensor, count: int, radius: float) -> Tensor:
    """Cells of at most `count` peaks of maps (B, h, w), counted row by row, the highest first: (B, N), NONE where there
    are fewer.

    A peak is a cell without a higher one among its eight neighbours; a peak no further than `radius` from one that is
    taken is suppressed. Of equal ones the first is taken.
    """
    highest = F.max_pool2d(maps.unsqueeze(1), 3, stride=1, padding=1).squeeze(1)
    heights = maps.masked_fill(maps < highest, -torch.inf).flatten(1)
    kept = []
    for _ in range(count):
        height, cell = heights.max(dim=1).values, heights.argmax(dim=1)
        kept.append(cell.masked_fill(height == -torch.inf, NONE))
        near = _distances(cell.unsqueeze(1), maps).squeeze(1) <= radius
        heights = heights.masked_fill(near, -torch.inf)
    return torch.stack(kept, dim=1)


def parts(maps: Tensor, cells: Tensor) -> Tensor:
    """What of maps (B, h, w) belongs to each of their peaks (B, N): (B, N, h, w), 0 elsewhere and of a peak that is not
    there.

    A cell belongs to the nearest peak, and to the higher one of those that are equally near.
    """
    missing = (cells == NONE).unsqueeze(2)
    distances = _distances(cells, maps).masked_fill(missing, torch.inf)
    nearest = distances.argmin(dim=1, keepdim=True)
    numbers = torch.arange(cells.shape[1], device=cells.device).view(1, -1, 1)
    own = ((nearest == numbers) & ~missing).unflatten(2, maps.shape[1:])
    return maps.unsqueeze(1) * own


def _distances(cells: Tensor, maps: Tensor) -> Tensor:
    """Of cells (B, N) from every cell of maps (B, h, w): (B, N, h w), float64 to be compared with a decimal radius."""
    height, width = maps.shape[1:]
    every = torch.arange(height * width, device=cells.device)
    down = (cells.unsqueeze(2) // width - every // width).abs()
    right = (cells.unsqueeze(2) % width - every % width).abs()
    return (down + right).double() / height
