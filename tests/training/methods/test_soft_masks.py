"""Soft masks and masked means against loops, and where float32 would break a careless formula."""

import math

import pytest
import torch

from training.similarity import sigmoid_mask, soft_masked_mean, soft_masked_response, tri_map


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_sigmoid_mask_by_hand() -> None:
    mask = sigmoid_mask(torch.tensor([[0.65, 0.68, 0.5]]), 0.65, 0.03)
    assert mask[0].tolist() == pytest.approx([0.5, logistic(1), logistic(-5)], rel=1e-4)


def test_tri_map_by_hand() -> None:
    foreground, background = tri_map(torch.tensor([[0.5, 0.7, 0.3]]), 0.65, 0.40, 0.03)
    assert foreground[0].tolist() == pytest.approx([logistic(-5), logistic(5 / 3), logistic(-35 / 3)], rel=1e-4)
    assert background[0].tolist() == pytest.approx([1 - logistic(z) for z in (10 / 3, 10, -10 / 3)], rel=1e-3)


def test_one_threshold_splits_the_map_and_two_leave_a_band() -> None:
    maps = torch.linspace(-1, 1, 41).view(1, 41)
    foreground, background = tri_map(maps, 0.5, 0.5, 0.03)
    assert torch.allclose(foreground + background, torch.ones_like(maps), atol=1e-6)
    foreground, background = tri_map(maps, 0.65, 0.40, 0.03)
    assert float((foreground + background)[maps == maps[0, 30]]) < 0.05  # cosine 0.5, between the thresholds
    assert (foreground + background <= 1 + 1e-6).all()


def test_soft_masked_mean_against_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(3, 2, 4, 5, generator=generator) * 2 - 1
    weights = torch.rand(3, 2, 4, 5, generator=generator)
    mean = soft_masked_mean(maps, weights)
    for n in range(3):
        for m in range(2):
            cells = [(float(c), float(w)) for c, w in zip(maps[n, m].flatten(), weights[n, m].flatten(), strict=True)]
            expected = sum(w * c for c, w in cells) / sum(w for _, w in cells)
            assert float(mean[n, m]) == pytest.approx(expected, abs=1e-6)


def test_response_of_a_constant_map_is_the_constant_whatever_the_threshold() -> None:
    for value in (-0.9, 0.0, 0.65, 0.99):
        for threshold in (0.4, 0.65):
            response = soft_masked_response(torch.full((2, 14, 14), value), threshold, 0.03)
            assert torch.allclose(response, torch.full((2,), value), atol=1e-6)


def test_a_sharp_mask_keeps_the_cells_above_the_threshold() -> None:
    maps = torch.tensor([[[0.9, 0.8], [0.1, -0.5]]])
    assert float(soft_masked_response(maps, 0.65, 0.001)) == pytest.approx(0.85, abs=1e-6)
    _, background = tri_map(maps, 0.65, 0.40, 0.001)
    assert float(soft_masked_mean(maps, background)) == pytest.approx(-0.2, abs=1e-6)


def test_the_background_of_an_image_that_sounds_everywhere_is_finite() -> None:
    maps = torch.full((1, 14, 14), 0.99, requires_grad=True)
    _, background = tri_map(maps, 0.65, 0.40, 0.03)
    response = soft_masked_mean(maps, background)  # 1 - sigmoid would be 0 in every cell, and the mean 0 / 0
    assert response.item() == pytest.approx(0.99, abs=1e-5)
    response.sum().backward()
    assert torch.isfinite(maps.grad).all()


def test_half_precision_maps_are_masked_in_float32() -> None:
    maps = torch.full((1, 7, 7), 0.25, dtype=torch.bfloat16)
    response = soft_masked_response(maps, 0.65, 0.03)
    assert response.dtype == torch.float32
    assert float(response) == pytest.approx(0.25, abs=1e-6)
