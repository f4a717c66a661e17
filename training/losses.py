"""Contrastive building blocks shared by the methods. Pure functions of logits; always computed in float32."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(logits: Tensor, excluded: Tensor | None = None) -> Tensor:
    """Mean of -log softmax of the diagonal over each row: (B, B) -> scalar. Uniform logits give ln B.

    Row n holds anchor n against all candidates; candidate n is its positive. `excluded` (B, B) bool: no negatives.
    """
    targets = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits.float() if excluded is None else excluding(logits, excluded), targets)


def symmetric_info_nce(logits: Tensor, excluded: Tensor | None = None) -> Tensor:
    """`info_nce` over rows plus over columns (a sum, as in EZ-VSL): (B, B) -> scalar. Uniform logits give 2 ln B.

    `excluded` [i, j] is about clips: j is no negative of anchor i, in whichever direction.
    """
    return info_nce(logits, excluded) + info_nce(logits.T, excluded)


def without_diagonal(logits: Tensor) -> Tensor:
    """Take each anchor's own candidate out of its negatives: (B, B) -> (B, B) float32 with -inf on the diagonal."""
    return excluding(logits, torch.eye(len(logits), dtype=torch.bool, device=logits.device))


def excluding(logits: Tensor, excluded: Tensor) -> Tensor:
    """Take candidates out of the negatives: (B, N) and bool (B, N) -> float32 with -inf where True."""
    return logits.float().masked_fill(excluded, -torch.inf)


def contrast(
    positives: Tensor, *negatives: Tensor, combine: Literal["sum_inside_log", "sum_of_logs"] = "sum_inside_log"
) -> Tensor:
    """InfoNCE of P positives per anchor against groups of negatives: (B, P), any number of (B, N_g) -> scalar, mean.

    With E the sum of exp over all negatives of the anchor (-inf entries count nothing):
    - sum_inside_log: -log( sum_p e^p / (sum_p e^p + E) ): one strong positive suffices (HardPos);
    - sum_of_logs: -sum_p log( e^p / (e^p + E) ): every positive must win (the alignment family).
    One positive makes the two equal. Uniform logits give ln((P + N) / P) and P ln(1 + N).
    """
    agreeing = positives.float()
    against = torch.cat([group.float() for group in negatives], dim=1)
    if combine == "sum_inside_log":
        everything = torch.cat([agreeing, against], dim=1)
        return (torch.logsumexp(everything, dim=1) - torch.logsumexp(agreeing, dim=1)).mean()
    candidates = torch.cat([agreeing.unsqueeze(2), against.unsqueeze(1).expand(-1, agreeing.shape[1], -1)], dim=2)
    return (torch.logsumexp(candidates, dim=2) - agreeing).sum(dim=1).mean()
