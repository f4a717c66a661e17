"""Where image and audio agree: cosine maps and the ways to pool a map into one response. Pure functions.

Letters: N images, M sounds, C channels, h x w cells. Every feature is unit length along its channels before it
comes here (`unit`), so all similarities are cosines in [-1, 1]. They are computed in float32 also where the trunks run
in bfloat16.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def in_float32(features: Tensor) -> torch.autocast:
    """No lower precision within: cosines are divided by temperatures of 0.03, which makes bfloat16's steps of 0.004
    logits that differ by 0.13.
    """
    return torch.autocast(features.device.type, enabled=False)


def einsum(equation: str, *features: Tensor) -> Tensor:
    """torch.einsum in float32. Autocast rounds products to bfloat16 whatever their factors are; `.float()` alone is no
    protection.
    """
    with in_float32(features[0]):
        return torch.einsum(equation, *(each.float() for each in features))


def unit(features: Tensor) -> Tensor:
    """Scale to unit length along dim 1: (N, C) or (N, C, h, w), same shape out."""
    return F.normalize(features, dim=1)


def cosine_maps(visual: Tensor, audio: Tensor) -> Tensor:
    """Map of every image with every sound: (N, C, h, w), (M, C) -> (N, M, h, w)."""
    return einsum("nchw,mc->nmhw", visual, audio)


def own_maps(maps: Tensor) -> Tensor:
    """Each image's map with its own sound: (B, B, h, w) -> (B, h, w)."""
    return maps.diagonal().permute(2, 0, 1)


def paired_maps(visual: Tensor, audio: Tensor) -> Tensor:
    """Map of each image with its own sound: (N, C, h, w), (N, C) -> (N, h, w)."""
    return einsum("nchw,nc->nhw", visual, audio)


def pooled_by_map(visual: Tensor, audio: Tensor, temperature: float = 0.05) -> Tensor:
    """What is seen where the own sound points: (N, C, h, w), (N, C) -> unit vectors (N, C).

    A mean of the cells, weighted by a softmax of their cosines with the sound; what is seen elsewhere hardly counts.
    """
    weights = (paired_maps(visual, audio).flatten(1) / temperature).softmax(dim=1)
    return unit(einsum("nx,ncx->nc", weights, visual.flatten(2)))


def max_response(maps: Tensor) -> Tensor:
    """Best cell of each map: (..., h, w) -> (...). EZ-VSL's multiple-instance response."""
    return torch.amax(maps, dim=(-2, -1))


def mean_response(maps: Tensor) -> Tensor:
    """Mean of each map: (..., h, w) -> (...)."""
    return torch.mean(maps, dim=(-2, -1))


def cosines(one: Tensor, other: Tensor) -> Tensor:
    """Cosine of every row with every row: (N, C), (M, C) -> (N, M)."""
    with in_float32(one):
        return one.float() @ other.float().T


def distances(one: Tensor, other: Tensor) -> Tensor:
    """Euclidean distance of every row with every row: (..., N, C), (..., M, C) -> (..., N, M), float32.

    Rows that are equal have no direction to part in: their gradient is 0.
    """
    with in_float32(one):
        return torch.cdist(one.float(), other.float(), compute_mode="donot_use_mm_for_euclid_dist")


def pooled_response(visual: Tensor, audio: Tensor) -> Tensor:
    """Cosine of the max-pooled image with each sound: (N, C, h, w), (M, C) -> (N, M)."""
    return cosines(unit(torch.amax(visual, dim=(2, 3))), audio)


def sigmoid_mask(maps: Tensor, threshold: float, temperature: float) -> Tensor:
    """Soft, differentiable "is this cell above the threshold": (..., h, w) -> (..., h, w) in (0, 1), float32.

    The LVS family's mask; `temperature` is its 0.03, no softmax temperature.
    """
    return torch.sigmoid((maps.float() - threshold) / temperature)


def tri_map(
    maps: Tensor, positive_threshold: float, negative_threshold: float, temperature: float
) -> tuple[Tensor, Tensor]:
    """Foreground and background masks of LVS: (..., h, w) -> two of (..., h, w); between the thresholds both are small.

    One threshold twice gives masks that sum to 1. The background is 1 - sigmoid(z) written sigmoid(-z): the
    difference rounds to 0 in float32 when every cell is far above the threshold, and its mean to 0 / 0.
    """
    foreground = sigmoid_mask(maps, positive_threshold, temperature)
    return foreground, sigmoid_mask(-maps, -negative_threshold, temperature)


def soft_masked_mean(maps: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of each map, sum(w c) / sum(w): two of (..., h, w) -> (...), float32. Weights must be positive."""
    return (weights * maps.float()).sum(dim=(-2, -1)) / weights.sum(dim=(-2, -1))


def tri_map_responses(
    maps: Tensor, positive_threshold: float, negative_threshold: float, temperature: float
) -> tuple[Tensor, Tensor]:
    """Means of each map over its foreground and its background: (B, h, w) -> two of (B, 1), LVS's pair of logits."""
    foreground, background = tri_map(maps, positive_threshold, negative_threshold, temperature)
    return soft_masked_mean(maps, foreground).unsqueeze(1), soft_masked_mean(maps, background).unsqueeze(1)


def soft_masked_response(maps: Tensor, threshold: float, temperature: float) -> Tensor:
    """Mean of each map over its own sigmoid mask: (..., h, w) -> (...). The LVS family's response."""
    return soft_masked_mean(maps, sigmoid_mask(maps, threshold, temperature))
