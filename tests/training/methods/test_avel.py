"""AVEL: a plain reading of its attention and classes, both axes of the sound, and what each loss costs."""

import math

import pytest
import torch

from manifests.errors import InputError
from training.config import Encoder, Encoders
from training.methods.avel import Config, Method, event_loss

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, SIDE = 3, 64


def build(**options: object) -> Method:
    torch.manual_seed(0)
    return Method(Config(**{"classes": 5, "dimension": 12, "hidden": 6} | options), TINY).eval()


def make_batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.randn(BATCH, 3, SIDE, SIDE, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 90, generator=generator),
        "label": torch.tensor([0, 4, 2]),
        "source": torch.arange(BATCH),
    }


@pytest.mark.parametrize("attention", ["units", "cells"])
def test_loss_is_that_of_a_plain_reading(attention: str) -> None:
    method, batch = build(attention=attention, cells=64), make_batch()
    with torch.no_grad():
        torch.manual_seed(1)
        losses, maps = method.loss(batch), method(batch["image"], batch["audio"]).map
        features, sounds = method.image_trunk(batch["image"]), method.audio_trunk(batch["audio"])
        costs = []
        for n in range(BATCH):
            heard = method.audio_units(method.audio_query(sounds[n]).relu())
            responses = []
            for x in range(64):
                own = method.image_units(method.image_query(features[n].flatten(1)[:, x]).relu())
                responses.append(method.response(torch.tanh(own + (heard if attention == "units" else heard[x]))))
            alpha = torch.stack(responses).squeeze(1).softmax(dim=0)
            assert torch.allclose(maps[n].flatten(), alpha, atol=1e-5)
            looked_at = features[n].flatten(1) @ alpha
            hidden = method.event[0](torch.cat([looked_at, sounds[n]])).relu()
            costs.append(-float(method.event[2](hidden).log_softmax(dim=0)[batch["label"][n]]))
    assert losses["event"].item() == pytest.approx(sum(costs) / BATCH, rel=1e-4)
    assert losses["total"].item() == pytest.approx(losses["event"].item() + losses["matching"].item())


def test_attention_is_a_distribution_over_cells_and_even_over_equal_ones() -> None:
    method = build()
    features, sound = torch.rand(2, method.image_trunk.dimension, 4, 4), torch.rand(2, method.audio_trunk.dimension)
    with torch.no_grad():
        maps = method.attention(features, sound)
        even = method.attention(features.mean(dim=(2, 3), keepdim=True).expand_as(features), sound)
    assert torch.allclose(maps.sum(dim=(1, 2)), torch.ones(2), atol=1e-6)
    assert torch.allclose(even, torch.full_like(even, 1 / 16), atol=1e-6)


def test_another_sound_moves_the_attention() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        one, other = (method(batch["image"], sound).map for sound in (batch["audio"], batch["audio"].roll(1, 0)))
    assert not torch.allclose(one, other)


def test_attention_along_cells_refuses_maps_of_another_size() -> None:
    with pytest.raises(InputError, match=r"64 cells.*method.cells=64"):
        build(attention="cells", cells=49)(*(make_batch()[name] for name in ("image", "audio")))


def test_no_opinion_costs_the_logarithm_of_the_classes() -> None:
    logits, labels = torch.zeros(3, 5), torch.tensor([0, 4, 2])
    assert event_loss(logits, labels, "cross_entropy").item() == pytest.approx(math.log(5))
    even = (math.log(1 + math.exp(-0.2)) + 4 * math.log(1 + math.exp(0.2))) / 5  # of 1/5 for each class
    assert event_loss(logits, labels, "soft_margin").item() == pytest.approx(even)
    right = 100 * torch.eye(5)[labels]
    assert event_loss(right, labels, "cross_entropy").item() == pytest.approx(0, abs=1e-6)
    best = (math.log(1 + math.exp(-1)) + 4 * math.log(2)) / 5
    assert event_loss(right, labels, "soft_margin").item() == pytest.approx(best)


def test_matching_moves_nothing_but_itself() -> None:
    method, batch = build().train(), make_batch()
    method.loss(batch)["matching"].backward()
    moved = {name.partition(".")[0] for name, weight in method.named_parameters() if weight.grad is not None}
    assert moved == {"image_matching", "audio_matching"}
