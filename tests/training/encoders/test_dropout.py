"""Dropout drawn on the CPU: share, scale, reproducibility."""

import pytest
import torch

from training.encoders.dropout import Dropout


def test_keeps_the_asked_share_and_the_mean() -> None:
    torch.manual_seed(0)
    kept = Dropout(0.9).train()(torch.ones(64, 64, 7, 7))
    assert sorted(kept.unique().tolist()) == pytest.approx([0.0, 10.0], abs=1e-4)
    assert float((kept > 0).float().mean()) == pytest.approx(0.1, abs=0.002)


def test_does_nothing_outside_training_or_at_zero() -> None:
    features = torch.randn(2, 3, 4, 4)
    assert torch.equal(Dropout(0.9).eval()(features), features)
    assert torch.equal(Dropout(0.0).train()(features), features)


def test_the_mask_is_a_function_of_torch_s_seed() -> None:
    features, dropout = torch.randn(2, 3, 4, 4), Dropout(0.5).train()
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(dropout(features))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_drops_the_same_elements() -> None:
    features, dropout = torch.ones(4, 8, 7, 7), Dropout(0.9).train()
    torch.manual_seed(3)
    here = dropout(features)
    torch.manual_seed(3)
    assert torch.equal(here, dropout(features.cuda()).cpu())
