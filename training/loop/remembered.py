"""Frozen trunks remember what they made of an image or a sound: a validation set goes through them only once."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from training.loop.kept_features import add_trunk, frozen_trunks
from training.methods.contract import BaseMethod

Features = dict[bytes, Tensor]  # digest of an input -> what a trunk made of it
Memory = dict[bytes, Features]  # by digest of a trunk and its weights, so that equal trunks share it


@contextmanager
def remembering(method: BaseMethod, memory: Memory) -> Iterator[None]:
    """While it lasts, the method's frozen trunks look up in `memory` what they computed before, and add what is new.

    Inputs are known by their content. Nothing in it has a gradient; a trunk that is trained is left as it is.
    """
    entries = {"image": "forward", "audio": method.audio_entry}
    asked = [(trunk, entry) for name, entry in entries.items() for trunk in frozen_trunks(method, f"{name}_trunk")]
    for trunk, entry in asked:
        setattr(trunk, entry, _recalling(getattr(trunk, entry), memory.setdefault(_digest(trunk, entry), {})))
    try:
        yield
    finally:
        for trunk, entry in asked:
            delattr(trunk, entry)  # the class has its own


def _recalling(compute: Callable[[Tensor], Tensor], known: Features) -> Callable[[Tensor], Tensor]:
    @torch.no_grad()
    def recalling(values: Tensor) -> Tensor:
        names = [hashlib.blake2b(value.cpu().numpy().tobytes()).digest() for value in values]
        missing = {name: place for place, name in enumerate(names) if name not in known}
        if missing:
            known.update(zip(missing, compute(values[list(missing.values())]), strict=True))
        return torch.stack([known[name] for name in names])

    return recalling


def _digest(trunk: nn.Module, entry: str) -> bytes:
    digest = hashlib.sha256(entry.encode())
    add_trunk(digest, trunk)
    return digest.digest()
