"""Attention10k: a plain forward and loss, the identities of its attention, and the variant of DSOL's tables."""

import math

import pytest
import torch

from training.config import Encoder, Encoders
from training.methods.attention10k import Config, Method

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH = 4


def build(**options: object) -> Method:
    torch.manual_seed(0)
    return Method(Config(**options), TINY).eval()


def make_batch(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.randn(BATCH, 3, 64, 64, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 90, generator=generator),
        "source": torch.arange(BATCH),
    }


def two_layers(weights: dict, name: str, vector: torch.Tensor) -> torch.Tensor:
    hidden = (weights[f"{name}.0.weight"] @ vector + weights[f"{name}.0.bias"]).clamp(min=0)
    return weights[f"{name}.2.weight"] @ hidden + weights[f"{name}.2.bias"]


def described_by(method: Method, cells: torch.Tensor, sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Map and description of an image (C, h, w) to which a sound (A,) attends, by a loop over cells."""
    weights, variant = method.state_dict(), method.config.variant
    query = two_layers(weights, "query", sound)
    query = query.clamp(min=0) if variant == "dsol_released" else query
    places = [(y, x) for y in range(cells.shape[1]) for x in range(cells.shape[2])]
    agreement = [float(torch.cosine_similarity(cells[:, y, x], query, dim=0)) for y, x in places]
    agreement = [max(value, 0.0) for value in agreement] if variant == "paper" else agreement
    weight = [math.exp(value) / sum(math.exp(other) for other in agreement) for value in agreement]
    taken = [cells[:, y, x] / (1 if variant == "paper" else cells[:, y, x].norm()) for y, x in places]
    pooled = sum(w * cell for w, cell in zip(weight, taken, strict=True))
    described = two_layers(weights, "describe", pooled.clamp(min=0))
    return torch.tensor(agreement).view(cells.shape[1:]), described if variant == "paper" else described.clamp(min=0)


def plain(method: Method, batch: dict) -> tuple[list, list, list]:
    """Maps, descriptions and sounds of each clip."""
    images, sounds = method.image_trunk(batch["image"]), list(method.audio_trunk(batch["audio"]))
    maps, described = zip(*(described_by(method, *pair) for pair in zip(images, sounds, strict=True)), strict=True)
    return list(maps), list(described), sounds


def test_forward_and_loss_are_those_of_a_plain_reading_of_the_paper() -> None:
    method, batch = build(mismatches="all"), make_batch()
    with torch.no_grad():
        maps, described, sounds = plain(method, batch)
        prediction, loss = method(batch["image"], batch["audio"]), method.loss(batch)["total"]
    terms = []
    for n in range(BATCH):
        assert torch.allclose(prediction.map[n], maps[n], atol=1e-5)
        assert prediction.score[n].item() == pytest.approx(maps[n].max().item(), abs=1e-5)
        far = [float((described[n] / described[n].norm() - a / a.norm()).norm()) for a in sounds]
        for m in range(BATCH):
            if m != n:
                right, wrong = math.exp(far[n]), math.exp(far[m])
                terms.append((right / (right + wrong)) ** 2 + (wrong / (right + wrong) - 1) ** 2)
    assert loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-4)


@pytest.mark.parametrize("variant", ["dsol_released", "dsol"])
def test_the_variants_of_dsols_tables_are_contrasts_of_raw_vectors(variant: str) -> None:
    """As released every sound attends to every image for itself, and W ends in a ReLU."""
    method, batch = build(variant=variant, mismatches="all"), make_batch()
    with torch.no_grad():
        for layer in (method.query[2], method.describe[2]):
            layer.weight.mul_(20)  # so that attention differs by sound, and descriptions come near the margin
        images, sounds = method.image_trunk(batch["image"]), method.audio_trunk(batch["audio"])
        maps = [described_by(method, *pair)[0] for pair in zip(images, sounds, strict=True)]
        attending = [sounds if variant == "dsol_released" else [own] * BATCH for own in sounds]
        described = [[described_by(method, *pair)[1] for pair in zip([cells] * BATCH, by, strict=True)]
                     for cells, by in zip(images, attending, strict=True)]  # fmt: skip
        far = [[float((seen - sound).norm()) for seen, sound in zip(row, sounds, strict=True)] for row in described]
        prediction, loss = method(batch["image"], batch["audio"]), method.loss(batch)["total"]
    own = sum(0.5 * far[n][n] ** 2 for n in range(BATCH)) / BATCH
    pairs = [(n, m) for n in range(BATCH) for m in range(BATCH) if n != m]
    foreign = sum(0.5 * max(0.0, 10 - far[n][m]) ** 2 for n, m in pairs) / len(pairs)
    assert loss.item() == pytest.approx((own + foreign) / 2, rel=1e-4)
    assert all(torch.allclose(prediction.map[n], maps[n], atol=1e-5) for n in range(BATCH))


def test_no_cell_weighs_e_times_another_and_weights_sum_to_1() -> None:
    method = build()
    generator = torch.Generator().manual_seed(2)
    visual, query = torch.randn(3, 128, 5, 6, generator=generator), torch.randn(3, 128, generator=generator)
    visual[0, :, 0, 0], visual[0, :, 0, 1] = query[0], -query[0]
    maps = method.agreement(visual, query / query.norm(dim=1, keepdim=True))
    weights = maps.flatten(1).softmax(dim=1)
    assert torch.allclose(weights.sum(dim=1), torch.ones(3))
    assert float((weights.amax(dim=1) / weights.amin(dim=1)).max()) <= math.e + 1e-4


def test_a_plain_image_is_attended_evenly() -> None:
    method, query = build(), torch.nn.functional.normalize(torch.randn(2, 128), dim=1)
    visual = torch.rand(2, 128, 1, 1).expand(2, 128, 4, 4)
    weights = method.agreement(visual, query).flatten(1).softmax(dim=1)
    assert torch.allclose(weights, torch.full((2, 16), 1 / 16))


def test_the_loss_lies_where_unit_vectors_can_bring_it() -> None:
    lowest, highest = (2 / (1 + math.exp(-far)) ** 2 for far in (-2, 2))
    for seed in range(3):
        assert lowest <= build().loss(make_batch(seed))["total"].item() <= highest


def test_an_image_s_embedding_does_not_know_its_sound() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        own = method(batch["image"], batch["audio"]).image_embedding
        other = method(batch["image"], batch["audio"].flip(0)).image_embedding
    assert torch.equal(own, other)
