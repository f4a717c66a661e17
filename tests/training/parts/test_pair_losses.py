"""Losses over matching and mismatched pairs: closed forms, loops, and which pairs are drawn."""

import math

import pytest
import torch

from manifests.errors import InputError
from training.parts.pair_losses import contrastive_loss, distance_ratio_loss, draw_mismatches, masked_mean, match_loss

BATCH = 6


def square(seed: int = 0) -> torch.Tensor:
    return torch.randn(BATCH, BATCH, generator=torch.Generator().manual_seed(seed))


def others() -> torch.Tensor:
    return ~torch.eye(BATCH, dtype=torch.bool)


def test_one_mismatch_of_another_video_for_each_clip() -> None:
    source = torch.tensor([0, 0, 1, 2, 2, 3])
    drawn = torch.stack([draw_mismatches(source, "one") for _ in range(200)])
    assert torch.equal(drawn.sum(dim=2), torch.ones(200, BATCH, dtype=torch.int64))
    foreign = source[:, None] != source[None, :]
    assert not drawn[:, ~foreign].any()
    assert drawn.any(dim=0)[foreign].all()  # every clip of another video comes up
    assert torch.equal(draw_mismatches(source, "all"), foreign)


def test_draws_follow_the_seed_and_nothing_else() -> None:
    torch.manual_seed(5)
    one = draw_mismatches(torch.arange(BATCH), "one")
    torch.manual_seed(5)
    assert torch.equal(one, draw_mismatches(torch.arange(BATCH) + 10, "one"))


def test_clips_of_one_video_have_no_mismatch_and_cost_nothing() -> None:
    none = draw_mismatches(torch.zeros(BATCH, dtype=torch.int64), "one")
    assert not none.any()
    assert float(masked_mean(square(), none)) == 0.0
    assert torch.isfinite(match_loss(square(), none))


def test_a_batch_of_one_clip_is_refused() -> None:
    with pytest.raises(InputError, match="a batch of one clip"):
        draw_mismatches(torch.zeros(1, dtype=torch.int64), "one")


@pytest.mark.parametrize("kind", ["one", "all"])
def test_match_loss_is_ln_2_for_no_opinion_whatever_the_number_of_mismatches(kind: str) -> None:
    mismatched = draw_mismatches(torch.arange(BATCH), kind)
    assert float(match_loss(torch.zeros(BATCH, BATCH), mismatched)) == pytest.approx(math.log(2), rel=1e-6)
    sure = 100 * (2 * torch.eye(BATCH) - 1)
    assert float(match_loss(sure, mismatched)) == pytest.approx(0.0, abs=1e-6)


def test_match_loss_against_a_loop() -> None:
    logits, mismatched = square(), draw_mismatches(torch.arange(BATCH), "one")
    pairs = [(n, int(mismatched[n].nonzero())) for n in range(BATCH)]
    own = sum(-math.log(1 / (1 + math.exp(-float(logits[n, n])))) for n in range(BATCH)) / BATCH
    foreign = sum(-math.log(1 - 1 / (1 + math.exp(-float(logits[n, m])))) for n, m in pairs) / BATCH
    assert float(match_loss(logits, mismatched)) == pytest.approx((own + foreign) / 2, rel=1e-5)


def test_contrastive_loss_against_a_loop_over_matches_and_as_many_mismatches() -> None:
    distance, mismatched = square().abs() * 3, draw_mismatches(torch.arange(BATCH), "one")
    terms = [0.5 * float(distance[n, n]) ** 2 for n in range(BATCH)]
    terms += [0.5 * max(0.0, 5 - float(distance[n, int(mismatched[n].nonzero())])) ** 2 for n in range(BATCH)]
    found = contrastive_loss(distance.square(), mismatched, margin=5.0)
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-4)


def test_contrastive_loss_of_equal_features_is_finite_down_to_the_gradient() -> None:
    squared = torch.zeros(BATCH, BATCH, requires_grad=True)
    loss = contrastive_loss(squared, others(), margin=5.0)
    assert loss.item() == pytest.approx(25 / 4, rel=1e-3)
    loss.backward()
    assert torch.isfinite(squared.grad).all()


def test_distance_ratio_is_its_closed_form_and_the_printed_softmax() -> None:
    distance = square().abs().requires_grad_()
    loss = distance_ratio_loss(distance, others())
    terms = []
    for n in range(BATCH):
        for m in range(BATCH):
            if m != n:
                ratio = torch.softmax(torch.stack([distance[n, n], distance[n, m]]), dim=0)
                terms.append((ratio - torch.tensor([0.0, 1.0])).square().sum())
    assert loss.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)
    loss.backward()
    assert (distance.grad.diagonal() > 0).all()  # a step pulls the own pair together
    assert (distance.grad[others()] < 0).all()


def test_distance_ratio_of_equal_distances_is_a_half() -> None:
    assert distance_ratio_loss(torch.ones(BATCH, BATCH), others()).item() == pytest.approx(0.5)
