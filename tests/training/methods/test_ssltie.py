"""SSL-TIE against a plain implementation of its contrastive core, and the identities of its equivariance."""

import math

import pytest
import torch

from training.config import Encoder, Encoders
from training.data.augment.geometry import Geometry
from training.methods.ssltie import Config, Method

TINY = Encoders(image=Encoder(blocks=(1, 1, 1), weights="none"), audio=Encoder(blocks=(1, 1, 1), input_pool=(4, 3)))
BATCH, CHANNELS, CELLS = 4, 6, 3
STILL = Geometry(torch.zeros(BATCH), warp_scale=1.0, canvas_scale=1.0, mirrored=False)


class Fixed(Method):
    """The method with its trunks replaced by given features, passed through the batch, and a chosen geometry."""

    geometry = STILL

    def visual(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def auditory(self, audio: torch.Tensor) -> torch.Tensor:
        return audio / audio.norm(dim=1, keepdim=True)

    def draw_geometry(self, size: int) -> Geometry:
        return self.geometry


def content(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(BATCH, CHANNELS, CELLS, CELLS, generator=generator)
    return {"image": image, "audio": torch.rand(BATCH, CHANNELS, generator=generator)}


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def weighted_mean(values: list[float], weights: list[float]) -> float:
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def plain_contrast(image: torch.Tensor, audio: torch.Tensor) -> float:
    """The released logits with loops: own response, other sounds' responses, own background."""
    cosines = [
        [[float(torch.cosine_similarity(v[:, y, x], a, dim=0)) for y in range(CELLS) for x in range(CELLS)]
         for a in audio] for v in image
    ]  # fmt: skip
    losses = []
    for n, rows in enumerate(cosines):
        responses = [weighted_mean(row, [sigmoid((c - 0.65) / 0.03) for c in row]) for row in rows]
        background = weighted_mean(rows[n], [1 - sigmoid((c - 0.40) / 0.03) for c in rows[n]])
        exponents = [math.exp(r / 0.07) for r in [*responses, background]]
        losses.append(-math.log(exponents[n] / sum(exponents)))
    return sum(losses) / len(losses)


def test_contrastive_core_equals_the_released_logits() -> None:
    batch = content()
    losses = Fixed(Config(), TINY).loss(batch)
    expected = plain_contrast(batch["image"], batch["audio"])
    assert float(losses["contrast"]) == pytest.approx(expected, rel=1e-4)
    assert float(losses["contrast_changed"]) == pytest.approx(expected, rel=1e-4)


def test_nothing_changed_leaves_no_equivariance_and_the_plain_contrast() -> None:
    losses = Fixed(Config(), TINY).loss(content())
    assert float(losses["equivariance"]) == 0.0
    assert float(losses["total"]) == pytest.approx(float(losses["contrast"]), rel=1e-6)


def test_mirroring_commutes_with_cell_wise_features() -> None:
    method = Fixed(Config(), TINY)
    method.geometry = Geometry(torch.zeros(BATCH), 1.0, 1.0, mirrored=True)
    losses = method.loss(content())
    assert float(losses["equivariance"]) == pytest.approx(0.0, abs=1e-12)
    assert float(losses["contrast_changed"]) == pytest.approx(float(losses["contrast"]), rel=1e-5)


def test_identical_clips_without_contrast_of_their_background_give_a_logarithm() -> None:
    """One cosine everywhere: B sounds and the background are equal logits."""
    batch = {"image": torch.ones(BATCH, CHANNELS, CELLS, CELLS), "audio": torch.ones(BATCH, CHANNELS)}
    losses = Fixed(Config(), TINY).loss(batch)
    assert float(losses["total"]) == pytest.approx(math.log(BATCH + 1), rel=1e-5)


def test_total_is_the_mean_of_both_contrasts_plus_the_weighted_difference_of_maps() -> None:
    method, batch = Fixed(Config(equivariance_weight=3.0), TINY), content()
    method.geometry = Geometry(torch.tensor([90.0, -90.0, 90.0, 0.0]), 1.0, 1.0, mirrored=False)
    losses = method.loss(batch)
    image, audio = batch["image"], batch["audio"]
    turned = torch.stack([image[n].rot90(k, dims=(1, 2)) for n, k in enumerate((1, -1, 1, 0))])
    assert float(losses["contrast_changed"]) == pytest.approx(plain_contrast(turned, audio), rel=1e-4)
    assert float(losses["equivariance"]) == pytest.approx(0.0, abs=1e-9)  # cell-wise features turn with their image
    half = (losses["contrast"] + losses["contrast_changed"]) / 2
    assert float(losses["total"]) == pytest.approx(float(half + 3.0 * losses["equivariance"]), rel=1e-6)


def test_equivariance_is_the_squared_difference_to_the_changed_map() -> None:
    torch.manual_seed(0)
    method = Method(Config(), TINY)
    geometry = Geometry(torch.zeros(BATCH), 1.0, 0.5, mirrored=True)
    maps, changed = torch.rand(BATCH, 14, 14), torch.rand(BATCH, 7, 7)
    loss = method._equivariance(geometry, torch.zeros(BATCH, 3, 224, 224), maps, changed)
    target = maps.unflatten(1, (7, 2)).unflatten(3, (7, 2)).mean(dim=(2, 4)).flip(-1)  # half size: means of 2 x 2
    assert float(loss) == pytest.approx(float(((changed - target) ** 2).mean()), rel=1e-5)


def test_gradients_reach_both_maps_unless_stopped() -> None:
    for stopped in (False, True):
        method = Method(Config(stop_gradient=stopped), TINY)
        maps, changed = (torch.rand(BATCH, 4, 4, requires_grad=True) for _ in range(2))
        method._equivariance(STILL, torch.zeros(BATCH, 3, 64, 64), maps, changed).backward()
        assert changed.grad.any()
        assert (maps.grad is None) == stopped


def test_the_step_s_geometry_follows_the_options_and_the_seed() -> None:
    method = Method(Config(), TINY)
    torch.manual_seed(5)
    one = [method.draw_geometry(3) for _ in range(60)]
    torch.manual_seed(5)
    two = [method.draw_geometry(3) for _ in range(60)]
    assert all(torch.equal(a.angles, b.angles) and a.mirrored == b.mirrored for a, b in zip(one, two, strict=True))
    assert {g.canvas_scale for g in one} == {g.warp_scale for g in one} == {1.0, 0.5}
    assert {g.mirrored for g in one} == {True, False}
    once = Method(Config(scale_applied="once", flip=False, rotation=0), TINY)
    assert all(g.warp_scale == 1.0 and not g.mirrored and not g.angles.any() for g in
               (once.draw_geometry(3) for _ in range(20)))  # fmt: skip


def test_half_size_images_give_half_size_maps() -> None:
    """224 px: 14 x 14 cells, or 7 x 7 of a shrunk image, as the released code has them."""
    trunk = Method(Config(), TINY).eval()
    geometry = Geometry(torch.tensor([12.0]), 0.5, 0.5, mirrored=True)
    with torch.no_grad():
        image = torch.rand(1, 3, 224, 224)
        whole, small = trunk.visual(image), trunk.visual(geometry.on_images(image))
    assert (whole.shape[-2:], small.shape[-2:]) == ((14, 14), (7, 7))
