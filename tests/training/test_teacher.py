"""The slow copy: where it starts, how it follows, what it leaves alone."""

import pytest
import torch
from torch import nn

from training.teacher import Teacher


def student() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def move(module: nn.Module, by: float) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by)


def test_starts_equal_and_asks_for_no_gradient() -> None:
    fast = student()
    teacher = Teacher(fast, 0.9)
    assert all(torch.equal(s, f) for s, f in zip(teacher.parameters(), fast.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in fast.parameters())
    assert not teacher(torch.randn(2, 1, 5, 5, requires_grad=True)).requires_grad


def test_follows_by_a_tenth_and_a_tenth_of_the_rest() -> None:
    fast = student()
    teacher = Teacher(fast, 0.9)
    before = [parameter.clone() for parameter in teacher.parameters()]
    move(fast, 1.0)
    teacher.follow(fast)
    teacher.follow(fast)
    for slow, start in zip(teacher.parameters(), before, strict=True):
        assert torch.allclose(slow, start + 0.19, atol=1e-6)


def test_batch_norm_statistics_are_its_own() -> None:
    fast = student()
    teacher = Teacher(fast, 0.0)
    fast(torch.randn(4, 1, 5, 5))
    teacher.follow(fast)
    assert not torch.equal(fast[1].running_mean, teacher.copy[1].running_mean)
    assert torch.equal(teacher.copy[1].running_mean, torch.zeros(2))
    teacher.train()(torch.randn(4, 1, 5, 5))
    assert teacher.copy[1].running_mean.any()


def test_another_student_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        Teacher(student(), 0.9).follow(nn.Conv2d(1, 2, 3))
