"""Frozen trunks remember what they made of an image or a sound: a validation set goes through them only once."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from training.loop.kept_features import add_weights, frozen_trunks

Features = dict[bytes, Tensor]  # digest of an input -> what a trunk made of it
Memory = dict[bytes, Features]  # by digest of a trunk and its weights, so that equal trunks share it


@contextmanager
def remembering(method: nn.Module, memory: Memory) -> Iterator[None]:
    """While it lasts, the method's frozen trunks look up in `memory` what they computed before, and add what is new.

    Inputs are known by their content. Nothing in it has a gradient; a trunk that is trained is left as it is.
    """
    trunks = [trunk for modality in ("image", "audio") for trunk in frozen_trunks(method, f"{modality}_trunk")]
    for trunk in trunks:
        trunk.forward = _recalling(trunk, memory.setdefault(_digest(trunk), {}))
    try:
        yield
    finally:
        for trunk in trunks:
            del trunk.forward  # the class has its own


def _recalling(trunk: nn.Module, known: Features) -> Callable[[Tensor], Tensor]:
    compute = trunk.forward

    @torch.no_grad()
    def recalling(values: Tensor) -> Tensor:
        names = [hashlib.blake2b(value.cpu().numpy().tobytes()).digest() for value in values]
        missing = {name: place for place, name in enumerate(names) if name not in known}
        if missing:
            known.update(zip(missing, cast(Tensor, compute(values[list(missing.values())])), strict=True))
        return torch.stack([known[name] for name in names])

    return recalling


def _digest(trunk: nn.Module) -> bytes:
    digest = hashlib.sha256(repr(trunk).encode())  # the same weights at another stride make other features
    add_weights(digest, trunk)
    return digest.digest()
