"""Losses over matching and mismatched pairs of a batch, as methods before InfoNCE have them; always in float32.

All work on a square of every image with every sound: (B, B), rows are images, the diagonal are the pairs that match,
and a mask says which others count as mismatched. Pure functions but for `draw_mismatches`.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from manifests.errors import InputError

Mismatches = Literal["one", "all"]  # how many of the other clips a clip is mismatched with
SMALLEST_SQUARE = 1e-9  # a root has no slope at 0


def draw_mismatches(source: Tensor, kind: Mismatches) -> Tensor:
    """Which pairs of a batch are mismatched: (B,) numbers of source videos -> (B, B) bool.

    Of each row all clips of other videos, or "one" of them, drawn evenly from torch's CPU generator (the loop seeds it
    per step). A row without a clip of another video stays empty. InputError for a batch of one clip.
    """
    if len(source) < 2:
        raise InputError(
            "a batch of one clip has no mismatched pair to learn from; raise optim.batch_size or lower optim.replicas."
        )
    foreign = source[:, None] != source[None, :]
    if kind == "all":
        return foreign
    order = torch.rand(foreign.shape).to(source.device)
    drawn = order.masked_fill(~foreign, -1.0).argmax(dim=1)
    return F.one_hot(drawn, len(source)).bool() & foreign


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the entries that a mask of the same shape has: -> scalar; 0 where it has none."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def match_loss(logits: Tensor, mismatched: Tensor) -> Tensor:
    """Binary cross-entropy, "do they belong together", half for either answer: (B, B) twice -> scalar.

    Logits of 0 give ln 2.
    """
    logits = logits.float()
    return (F.softplus(-logits.diagonal()).mean() + masked_mean(F.softplus(logits), mismatched)) / 2


def contrastive_loss(squared: Tensor, mismatched: Tensor, margin: float) -> Tensor:
    """Hadsell's loss of squared distances (B, B): together, or `margin` apart; half for either -> scalar.

    0.5 d^2 of matching pairs, 0.5 [margin - d]_+^2 of mismatched ones.
    """
    squared = squared.float()
    missing = (margin - (squared + SMALLEST_SQUARE).sqrt()).clamp(min=0)
    return (squared.diagonal().mean() + masked_mean(missing.square(), mismatched)) / 4


def distance_ratio_loss(distance: Tensor, mismatched: Tensor) -> Tensor:
    """Of the softmax over a pair's two distances the right one should be 0: (B, B) -> scalar, a mean over mismatches.

    |softmax(d+, d-) - (0, 1)|^2 = 2 sigma(d+ - d-)^2, with d+ the row's own distance. Equal distances give 0.5.
    """
    distance = distance.float()
    return masked_mean(2 * torch.sigmoid(distance.diagonal().unsqueeze(1) - distance).square(), mismatched)
