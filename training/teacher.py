"""A slow copy of modules: the momentum (EMA) teacher whose features some methods use as targets.

A method builds it from its own modules, computes targets with it (never with gradients), and calls `follow` from
`after_step`. Shared by every method with a teacher; knows none of them.
"""

from copy import deepcopy

import torch
from torch import nn


class Teacher(nn.Module):
    """Deep copy of `student` whose parameters follow it: slow <- momentum * slow + (1 - momentum) * fast.

    Parameters only, as in SLAVC's and MoCo's released code: batch norm's running statistics are the teacher's own,
    gathered from its own passes in training mode. Its parameters ask for no gradient, so no optimiser moves them.
    """

    def __init__(self, student: nn.Module, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.copy = deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def forward(self, *inputs: object) -> object:
        """The copy's answer, without gradients."""
        return self.copy(*inputs)

    @torch.no_grad()
    def follow(self, student: nn.Module) -> None:
        """Move every parameter a little towards the student's; both are of one build, as when it was copied."""
        for slow, fast in zip(self.copy.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast.to(slow.dtype), 1 - self.momentum)
