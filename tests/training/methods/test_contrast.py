"""InfoNCE over groups of logits: closed forms, loops, and negatives that do not count."""

import math

import pytest
import torch

from training.losses import contrast, excluding, info_nce, without_diagonal


def random_logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (1, 9), (4, 7), (9, 63)])
def test_uniform_logits(positives: int, negatives: int) -> None:
    groups = torch.full((5, positives), 2.5), torch.full((5, negatives), 2.5)
    inside, outside = contrast(*groups), contrast(*groups, combine="sum_of_logs")
    assert float(inside) == pytest.approx(math.log((positives + negatives) / positives), abs=1e-6)
    assert float(outside) == pytest.approx(positives * math.log(1 + negatives), rel=1e-6)


def test_both_rules_against_loops_over_three_groups() -> None:
    positives, first, second = random_logits(6, 3), random_logits(6, 4, seed=1), random_logits(6, 2, seed=2)
    inside = outside = 0.0
    for n in range(6):
        agreeing = [math.exp(v) for v in positives[n].tolist()]
        against = sum(math.exp(v) for v in first[n].tolist() + second[n].tolist())
        inside -= math.log(sum(agreeing) / (sum(agreeing) + against)) / 6
        outside -= sum(math.log(e / (e + against)) for e in agreeing) / 6
    assert float(contrast(positives, first, second)) == pytest.approx(inside, rel=1e-5)
    assert float(contrast(positives, first, second, combine="sum_of_logs")) == pytest.approx(outside, rel=1e-5)


def test_one_positive_is_info_nce_under_both_rules() -> None:
    logits = random_logits(7, 7)
    own = logits.diagonal().unsqueeze(1)
    for combine in ("sum_inside_log", "sum_of_logs"):
        loss = contrast(own, without_diagonal(logits), combine=combine)
        assert float(loss) == pytest.approx(float(info_nce(logits)), rel=1e-6)


def test_excluded_negatives_count_for_nothing_and_get_no_gradient() -> None:
    logits = random_logits(4, 6).requires_grad_()
    excluded = torch.zeros(4, 6, dtype=torch.bool)
    excluded[:, 4:] = True
    own = random_logits(4, 1, seed=3)
    loss = contrast(own, excluding(logits, excluded))
    assert loss.item() == pytest.approx(contrast(own, logits[:, :4]).item(), rel=1e-6)
    loss.backward()
    assert not logits.grad[:, 4:].any()
    assert logits.grad[:, :4].all()


def test_an_anchor_without_negatives_costs_nothing_and_stays_finite() -> None:
    logits = random_logits(3, 5).requires_grad_()
    own = random_logits(3, 2, seed=4).requires_grad_()
    for combine in ("sum_inside_log", "sum_of_logs"):
        loss = contrast(own, excluding(logits, torch.ones(3, 5, dtype=torch.bool)), combine=combine)
        assert loss.item() == pytest.approx(0.0, abs=1e-6)
        loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert torch.isfinite(own.grad).all()


def test_the_diagonal_is_muted_even_when_negative() -> None:
    logits = torch.tensor([[-5.0, 1.0], [2.0, -7.0]])
    muted = without_diagonal(logits)
    assert muted[0, 0] == muted[1, 1] == -math.inf
    assert torch.equal(muted[[0, 1], [1, 0]], torch.tensor([1.0, 2.0]))


def test_half_precision_logits_are_summed_in_float32() -> None:
    groups = torch.full((4, 1), 200.0, dtype=torch.bfloat16), torch.full((4, 3), 200.0, dtype=torch.bfloat16)
    assert float(contrast(*groups)) == pytest.approx(math.log(4), abs=1e-5)
