"""SSPL: attention pooling and SimSiam against loops, predictive coding against the printed recursion."""

import math

import pytest
import torch
import torch.nn.functional as F

from manifests.errors import InputError
from training.config import Encoder, Encoders
from training.encoders.predictive_coding import PredictiveCoding
from training.methods.sspl import Config, Method, attended

TINY = Encoders(image=Encoder(blocks=(1, 1, 1), weights="none"), audio=Encoder(blocks=(1, 1, 1), input_pool=(4, 3)))
SMALL = {"projection": 24, "bottleneck": 8, "audio_hidden": 16}


def plain_attended(visual: torch.Tensor, auditory: torch.Tensor) -> torch.Tensor:
    """One image: (C, h, w), (C,) -> (C,)."""
    cells = [visual[:, y, x] for y in range(visual.shape[1]) for x in range(visual.shape[2])]
    cosines = [float(torch.cosine_similarity(cell, auditory, dim=0)) for cell in cells]
    low, high = min(cosines), max(cosines)
    return sum(((c - low) / (high - low)) * cell for c, cell in zip(cosines, cells, strict=True))


def test_attention_sums_features_under_the_min_max_cosine_map() -> None:
    torch.manual_seed(0)
    visual, auditory = torch.randn(3, 5, 4, 2), F.normalize(torch.randn(3, 5), dim=1)
    pooled = attended(visual, auditory)
    for n in range(3):
        assert torch.allclose(pooled[n], plain_attended(visual[n], auditory[n]), atol=1e-5)


def test_attention_of_one_cell_is_that_cell_and_of_equal_cells_is_nothing() -> None:
    visual = torch.zeros(1, 2, 2, 2)
    visual[0, :, 0, 0] = torch.tensor([3.0, 4.0])
    visual[0, 1, 0, 1] = visual[0, 1, 1, 0] = visual[0, 1, 1, 1] = -1.0
    auditory = F.normalize(torch.tensor([[3.0, 4.0]]), dim=1)
    assert torch.allclose(attended(visual, auditory), torch.tensor([[3.0, 4.0]]))
    assert torch.equal(attended(torch.ones(1, 2, 3, 3), auditory), torch.zeros(1, 2))


def method(**options) -> Method:
    torch.manual_seed(0)
    return Method(Config(**SMALL, **options), TINY)


def batch(seed: int = 0, size: int = 6) -> dict:
    generator = torch.Generator().manual_seed(seed)
    image, other = torch.randn(2, size, 3, 64, 64, generator=generator)
    audio = torch.randn(size, 1, 129, 150, generator=generator)
    return {"image": image, "audio": audio, "augmented": {"image": other, "audio": audio}}


@pytest.mark.parametrize("predictive_coding", [True, False])
def test_loss_is_simsiam_s_on_both_views(predictive_coding: bool) -> None:
    """Evaluation mode, so that batch norm is a fixed affine map and every clip can be computed by itself."""
    trained, content = method(predictive_coding=predictive_coding).eval(), batch()
    with torch.no_grad():
        cosines = []
        for n in range(6):
            heard, auditory = trained.listened(content["audio"][n : n + 1])
            z, p = [], []
            for view in (content["image"], content["augmented"]["image"]):
                visual = trained.revised(view[n : n + 1], heard)
                z.append(trained.projector(plain_attended(visual[0], auditory[0]).unsqueeze(0)))
                p.append(trained.predictor(z[-1]))
            cosines += [float(torch.cosine_similarity(p[0], z[1])), float(torch.cosine_similarity(p[1], z[0]))]
        expected = -sum(cosines) / len(cosines)
        assert float(trained.loss(content)["total"]) == pytest.approx(expected, abs=1e-4)
    assert -1 <= expected <= 1
    assert trained.augmented_policies == ("crop_flip", "none")


def test_a_perfect_predictor_of_equal_views_reaches_minus_one() -> None:
    trained, content = method().eval(), batch()
    content["augmented"]["image"] = content["image"]
    trained.predictor = torch.nn.Identity()
    assert trained.loss(content)["total"].item() == pytest.approx(-1.0, abs=1e-6)


def test_targets_are_held_still() -> None:
    """With a constant predictor nothing before it can have a gradient: only the targets could pass one on."""
    trained = method()
    trained.predictor = ConstantPredictor(24)
    trained.loss(batch())["total"].backward()
    assert trained.predictor.constant.grad.any()
    assert all(p.grad is None or not p.grad.any() for p in trained.projector.parameters())


class ConstantPredictor(torch.nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.constant = torch.nn.Parameter(torch.randn(size))

    def forward(self, projected: torch.Tensor) -> torch.Tensor:
        return self.constant.expand_as(projected)


def test_the_map_is_the_cosine_of_revised_features_and_audio() -> None:
    trained, content = method().eval(), batch()
    with torch.no_grad():
        prediction = trained(content["image"], content["audio"])
        heard, auditory = trained.listened(content["audio"])
        visual = trained.revised(content["image"], heard)
        expected = torch.cosine_similarity(visual, auditory[:, :, None, None], dim=1)
    assert torch.allclose(prediction.map, expected, atol=1e-5)


def plain_coding(module: PredictiveCoding, visual: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """The sheet's recursion written out for 14 x 14, names as there: D1, D2, Da, U0, U1, U2, rates a and b."""
    d1, d2 = (lambda x, conv=conv: F.max_pool2d(conv(x), 2) for conv in module.down)
    u0, u1, u2 = module.up
    b0, b1, b2 = (rate.clamp(min=0) for rate in module.feedback_rate)
    a0, a1, a2 = (rate.clamp(min=0) for rate in module.error_rate)
    g = F.gelu

    def audio_error(r0: torch.Tensor) -> torch.Tensor:
        predicted = F.adaptive_avg_pool2d(g(module.to_audio(r0)), 1)
        return (audio[:, :, None, None] - predicted).expand(-1, -1, 3, 3)

    def upsampled(error: torch.Tensor) -> torch.Tensor:
        return u2(F.interpolate(error, scale_factor=2, mode="bilinear", align_corners=True))

    bn_down, bn_up = module.feedback_norm[0], module.error_norm[0]
    rp2 = visual
    rp1 = g(bn_down[1](d2(rp2)))
    rp0 = g(bn_down[0](d1(rp1)))
    r0 = g(bn_up[0](rp0 + a0 * u0(audio_error(rp0))))
    r1 = g(bn_up[1](rp1 + a1 * u1(r0 - rp0)))
    r2 = g(bn_up[2](rp2 + a2 * upsampled(r1 - rp1)))
    for t in range(1, module.cycles + 1):
        bn_down, bn_up = module.feedback_norm[t], module.error_norm[t]
        r2 = g((1 - b2) * r2 + b2 * rp2)
        rp1 = d2(r2)
        r1 = g(bn_down[1]((1 - b1) * r1 + b1 * rp1))
        rp0 = d1(r1)
        r0 = g(bn_down[0]((1 - b0) * r0 + b0 * rp0))
        r0 = g(bn_up[0](r0 + a0 * u0(audio_error(r0))))
        r1 = g(bn_up[1](r1 + a1 * u1(r0 - rp0)))
        r2 = g(bn_up[2](r2 + a2 * upsampled(r1 - rp1)))
    return module.out(r2)


@pytest.mark.parametrize("cycles", [0, 1, 4])
def test_predictive_coding_equals_the_printed_recursion(cycles: int) -> None:
    torch.manual_seed(0)
    module = PredictiveCoding(channels=8, audio_channels=5, cycles=cycles).train()
    for rate in module.rates():
        torch.nn.init.uniform_(rate, -0.5, 1.5)  # some below zero, where the ReLU holds them
    visual, audio = torch.randn(3, 8, 14, 14), F.normalize(torch.rand(3, 5), dim=1)
    with torch.no_grad():
        revised = module(visual, audio)
        assert torch.allclose(revised, plain_coding(module, visual, audio), atol=1e-5)
    assert revised.shape == visual.shape


def test_predictive_coding_has_the_released_rates_and_batch_norms() -> None:
    module = PredictiveCoding(channels=512, audio_channels=128, cycles=4)
    assert [tuple(rate.shape) for rate in module.rates()] == [(1, 512, 1, 1)] * 6
    assert {rate.unique().item() for rate in module.feedback_rate} == {0.5}
    assert {rate.unique().item() for rate in module.error_rate} == {1.0}
    norms = sum(isinstance(part, torch.nn.BatchNorm2d) for part in module.modules())
    assert norms == 5 * 2 + 5 * 3
    convolutions = sum(p.numel() for p in module.parameters() if p.ndim == 4 and p.shape[0] != 1)
    expected = 128 * 512 + 2 * 512 * 512 * 9 + 128 * 512 + 2 * 512 * 512 * 9 + 512 * 512
    assert convolutions == expected


@pytest.mark.parametrize("size", [(4, 4), (7, 7), (6, 9)])
def test_predictive_coding_fits_other_sizes(size: tuple[int, int]) -> None:
    module = PredictiveCoding(channels=4, audio_channels=3, cycles=2)
    assert module(torch.randn(2, 4, *size), torch.rand(2, 3)).shape == (2, 4, *size)


@pytest.mark.parametrize("size", [(3, 4), (14, 2), (1, 1)])
def test_predictive_coding_of_fewer_cells_is_refused(size: tuple[int, int]) -> None:
    module = PredictiveCoding(channels=4, audio_channels=3, cycles=2)
    with pytest.raises(InputError, match=f"{size[0]} x {size[1]}.*data.image_size.*last_stride"):
        module(torch.randn(2, 4, *size), torch.rand(2, 3))


def test_parameter_groups_hold_every_trained_parameter_once() -> None:
    for options in ({}, {"predictive_coding": False, "head_rate": 4.0}):
        trained = method(**options)
        groups = trained.parameter_groups()
        listed = [id(p) for group in groups for p in group["params"]]
        assert sorted(listed) == sorted(id(p) for p in trained.parameters() if p.requires_grad)
        head = {id(p) for p in (*trained.projector.parameters(), *trained.predictor.parameters())}
        rate = options.get("head_rate", 2.5)
        assert all((group["rate"] == rate) == (id(p) in head) for group in groups for p in group["params"])
    undecayed = [group for group in method().parameter_groups() if group.get("weight_decay") == 0.0]
    assert sum(len(group["params"]) for group in undecayed) == 6


def test_frozen_trunks_leave_the_mlp_the_coding_and_the_head_to_train() -> None:
    frozen = Encoders(
        image=TINY.image.model_copy(update={"frozen": True}), audio=TINY.audio.model_copy(update={"frozen": True})
    )
    trained = Method(Config(**SMALL, predictive_coding=False), frozen)
    names = {name.split(".")[0] for name, p in trained.named_parameters() if p.requires_grad}
    assert names == {"audio_mlp", "projector", "predictor"}
    assert math.isfinite(float(trained.loss(batch())["total"].detach()))
