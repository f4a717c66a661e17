"""Regions of an image against a map of it: how much each responds, and the best ones that lie apart. Pure functions.

Letters: B images, P regions as x1, y1, x2, y2 in fractions of the image, S pixels a side.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

ROUNDING = 1e-6


def standard_range(maps: Tensor, side: int) -> Tensor:
    """Maps (B, h, w) brought to (B, S, S) and to [0, 1] each; a flat map is 0."""
    large = F.interpolate(maps.unsqueeze(1).float(), size=(side, side), mode="bilinear", align_corners=False).squeeze(1)
    low, high = large.amin(dim=(1, 2), keepdim=True), large.amax(dim=(1, 2), keepdim=True)
    width = high - low
    flat = width <= ROUNDING * high.abs()  # what enlarging a flat map leaves is no response
    return torch.where(flat, 0.0, (large - low) / width.clamp(min=1e-30))


def responses(maps: Tensor, boxes: Tensor, kind: Literal["sum", "sum_centred", "mean"]) -> Tensor:
    """How much a map (B, S, S) responds in each region (B, P, 4): (B, P), by four look-ups in its integral image.

    `sum` of the pixels; `sum_centred`, of the pixels less the map's mean, 0 for the whole image; `mean` of the pixels.
    """
    values = maps.double()
    if kind == "sum_centred":
        values = values - values.mean(dim=(1, 2), keepdim=True)
    integral = F.pad(values.cumsum(dim=1).cumsum(dim=2), (1, 0, 1, 0)).flatten(1)
    side = maps.shape[1]
    x1, y1, x2, y2 = (boxes * side).round().long().clamp(0, side).unbind(dim=2)

    def corner(y: Tensor, x: Tensor) -> Tensor:
        return integral.gather(1, y * (side + 1) + x)

    total = corner(y2, x2) - corner(y1, x2) - corner(y2, x1) + corner(y1, x1)
    return (total / ((x2 - x1) * (y2 - y1)).clamp(min=1) if kind == "mean" else total).float()


def apart(boxes: Tensor, scores: Tensor, count: int, ranks: Tensor | None = None, allowed: float = 0.0) -> Tensor:
    """The best regions that do not overlap: (B, P, 4), (B, P) with NaN for none -> (B, count, 5) with their scores.

    Greedy by score, or by `ranks` (B, P) where they are given; `allowed` is the IoU that is no overlap yet. Where every
    region left overlaps one that is taken, the one that overlaps least is (by IoU, then by score). What is missing is
    NaN.
    """
    overlap = overlaps(boxes)
    missing, rows = scores.isnan(), torch.arange(len(boxes), device=boxes.device)
    taken_overlap, taken, found = torch.zeros_like(scores), missing.clone(), []
    for _ in range(count):
        left = (scores if ranks is None else ranks).masked_fill(taken, -torch.inf)
        free = left.masked_fill(taken_overlap > allowed, -torch.inf)
        least = taken_overlap.masked_fill(taken, torch.inf).amin(dim=1, keepdim=True)
        nearest_free = left.masked_fill(taken_overlap > least, -torch.inf)
        best = torch.where((free > -torch.inf).any(dim=1), free.argmax(dim=1), nearest_free.argmax(dim=1))
        chosen = torch.cat([boxes[rows, best], scores[rows, best, None]], dim=1)
        found.append(chosen.masked_fill(taken.all(dim=1, keepdim=True), torch.nan))
        taken_overlap, taken = torch.maximum(taken_overlap, overlap[rows, best]), taken.clone()
        taken[rows, best] = True
    return torch.stack(found, dim=1)


def overlaps(boxes: Tensor) -> Tensor:
    """IoU of each region with each: (B, P, 4) -> (B, P, P); 0 where there is no area."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=3)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=2)
    return shared / (area[:, :, None] + area[:, None, :] - shared).clamp(min=1e-12)
