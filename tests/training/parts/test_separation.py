"""Masks of mixed sounds: the frequency axis there and back, targets, weights, and energies that are all there."""

import math

import pytest
import torch

from training.parts.separation import (
    FREQUENCIES,
    ROWS,
    bin_weights,
    louder_than_half,
    mask_loss,
    sound_of,
    spectrum,
    unwarped,
    warped,
    warped_energy,
)

RATE = 11025


def tone(hertz: float, samples: int = 16384) -> torch.Tensor:
    return 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(samples) / RATE)[None]


def test_a_waveform_comes_back_from_its_spectrum() -> None:
    sound = torch.randn(2, 9000, generator=torch.Generator().manual_seed(0))
    assert spectrum(sound).shape == (2, FREQUENCIES, 1 + 9000 // 256)
    found, heard = sound_of(spectrum(sound), 9000), 35 * 256  # whole hops
    assert torch.allclose(found[:, :heard], sound[:, :heard], atol=1e-4)
    assert not found[:, heard:].any()


def test_the_logarithmic_axis_keeps_its_ends_and_goes_back() -> None:
    rising = torch.linspace(0, 1, FREQUENCIES)[None, :, None]
    there = warped(rising)
    assert there.shape == (1, ROWS, 1)
    assert there[0, 0, 0].item() == pytest.approx(0, abs=1e-6)
    assert there[0, -1, 0].item() == pytest.approx(1, abs=1e-6)
    middle = (math.sqrt(21) - 11) / 10  # of the linear axis in [-1, 1], at the middle of the logarithmic one
    assert there[0, ROWS // 2 - 1 : ROWS // 2 + 1, 0].mean().item() == pytest.approx((middle + 1) / 2, abs=1e-3)
    assert torch.allclose(unwarped(there), rising, atol=2e-3)
    flat = torch.full((1, FREQUENCIES, 3), 0.7)
    assert torch.allclose(unwarped(warped(flat)), flat, atol=1e-6)


def test_energies_of_rows_are_those_of_the_frequencies_whose_mask_they_give() -> None:
    magnitudes = spectrum(tone(440) + tone(3000)).abs()
    energies = warped_energy(magnitudes)
    assert energies.sum().item() == pytest.approx(magnitudes.square().sum().item(), rel=1e-5)
    lower = torch.zeros(1, ROWS, magnitudes.shape[2])
    lower[:, : ROWS * 2 // 3] = 1.0  # up to 1.6 kHz
    passed = (unwarped(lower) * magnitudes).square().sum()
    assert (lower * energies).sum().item() == pytest.approx(passed.item(), rel=1e-2)
    assert passed / magnitudes.square().sum() == pytest.approx(0.5, abs=0.02)


def test_one_source_alone_should_pass_and_silence_should_not() -> None:
    own = warped(spectrum(tone(440)).abs())
    assert louder_than_half(own, own)[own > 1e-6].all()
    assert not louder_than_half(torch.zeros_like(own), own).any()
    assert louder_than_half(0.5 * own, own).sum() == 0  # half is not more than half


def test_weights_are_bounded_and_no_opinion_costs_ln_2_of_them() -> None:
    mixture = torch.tensor([[[0.0, 1.0, 1e9]]])
    weights = bin_weights(mixture)
    assert weights.flatten().tolist() == pytest.approx([1e-3, math.log(2), 10.0])
    cost = mask_loss(torch.zeros(1, 1, 3), torch.tensor([[[1.0, 0.0, 1.0]]]), weights)
    assert cost.item() == pytest.approx(math.log(2) * weights.mean().item())
