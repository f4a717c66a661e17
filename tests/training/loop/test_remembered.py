"""Frozen trunks that look up what they computed before."""

import torch
from torch import Tensor, nn

from training.encoders.projection import ProjectedTrunk
from training.encoders.resnet import freeze
from training.loop.remembered import Memory, remembering
from training.methods.contract import BaseMethod


class CountingTrunk(nn.Module):
    dimension = 4

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(3, 4)
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return self.layer(x)

    def cells(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return self.layer(x)[:, :, None, None].expand(-1, -1, 2, 5)


class Method(BaseMethod):
    def __init__(self, **trunks: nn.Module) -> None:
        nn.Module.__init__(self)
        for name, trunk in trunks.items():
            setattr(self, f"{name}_trunk", trunk)


def frozen(seed: int = 0) -> CountingTrunk:
    trunk = CountingTrunk(seed)
    freeze(trunk)
    return trunk


def test_an_input_is_computed_once_whatever_batch_it_comes_in() -> None:
    trunk, memory = frozen(), Memory()
    values = torch.rand(5, 3)
    expected = trunk(values)
    trunk.seen = 0
    with remembering(Method(image=trunk), memory):
        torch.testing.assert_close(trunk(values[:3]), expected[:3])
        torch.testing.assert_close(trunk(values[[4, 1, 4]]), expected[[4, 1, 4]])
    assert trunk.seen == 4
    trunk(values)
    assert trunk.seen == 9, "outside it computes again"


def test_trunks_of_the_same_weights_share_it_and_others_do_not() -> None:
    memory, values = Memory(), torch.rand(2, 3)
    first, same, other = frozen(), frozen(), frozen(seed=1)
    for trunk in (first, same, other):
        with remembering(Method(image=ProjectedTrunk(trunk, 2)), memory):
            torch.testing.assert_close(trunk(values), trunk.layer(values))
    assert (first.seen, same.seen, other.seen) == (2, 0, 2)


def test_what_a_method_asks_of_its_audio_trunk_is_remembered() -> None:
    trunk, memory, values = frozen(), Memory(), torch.rand(2, 3)
    method = Method(audio=trunk)
    with remembering(method, memory):
        trunk(values)
    method.audio_entry = "cells"
    for _ in range(2):
        with remembering(method, memory):
            assert trunk.cells(values).shape == (2, 4, 2, 5)
    assert trunk.seen == 4, "pooled and cells, each computed once"


def test_a_trained_trunk_is_left_alone() -> None:
    trunk, values = CountingTrunk(), torch.rand(2, 3)
    with remembering(Method(image=trunk), {}):
        assert trunk(values).requires_grad
        trunk(values)
    assert trunk.seen == 4
