"""How parameters move: the optimiser a run asks for, over its method's groups, and the learning rate's course."""

import math
from functools import partial

import torch
from torch.optim import Optimizer

from training.config import Optim
from training.methods.contract import BaseMethod

KINDS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": partial(torch.optim.SGD, momentum=0.9)}


def build_optimiser(method: BaseMethod, optim: Optim) -> Optimizer:
    """An optimiser over the method's parameter groups; each keeps its `rate`, a factor on the run's learning rate."""
    groups = [group for group in method.parameter_groups() if group["params"]]
    groups = groups or [{"params": [torch.zeros(())]}]  # a centred disc has nothing to learn; an empty list is refused
    groups = [{"rate": 1.0, **group} for group in groups]
    on_gpu = any(parameter.is_cuda for parameter in method.parameters() if parameter.requires_grad)
    # one kernel for all parameters; on CPUs the loop over them stays, whose rounding earlier runs have
    fused = True if on_gpu else None
    return KINDS[optim.optimiser](groups, lr=optim.learning_rate, weight_decay=optim.weight_decay, fused=fused)


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """Give every group its share of the run's learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["rate"]


def learning_rate(optim: Optim, step: int, total_steps: int) -> float:
    """The run's learning rate at a step (from 0): linear warm-up, then constant, half a cosine down to zero, or `decay`
    times itself after each of `decay_at`."""
    if step < optim.warmup_steps:
        return optim.learning_rate * (step + 1) / optim.warmup_steps
    if optim.schedule == "cosine":
        return optim.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total_steps))
    passed = sum(step >= share * total_steps for share in optim.decay_at)
    return optim.learning_rate * optim.decay**passed
