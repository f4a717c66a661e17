"""AVEL: a plain reading of its attention and classes, both axes of the sound, and what each loss costs."""

import math

import pytest
import torch
from pydantic import ValidationError

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


@pytest.mark.parametrize("attention", ["units", "cells"])
def test_segments_meet_in_two_lstms_and_the_loudest_of_them_names_the_clip(attention: str) -> None:
    """The plain way, a clip and a segment at a time, with LSTMs of torch that have the same weights."""
    method, batch = build(attention=attention, cells=64, segments=3), of_segments(make_batch())
    assert (method.needs, method.burst) == ({"labels", "burst"}, (3, 1.0))
    seen_by, heard_by = (torch.nn.LSTM(own.input_size, 128, bidirectional=True) for own in memories(method))
    seen_by.load_state_dict(method.image_memory.state_dict())
    heard_by.load_state_dict(method.audio_memory.state_dict())
    with torch.no_grad():
        torch.manual_seed(1)
        losses, found = method.loss(batch), method.predict(batch)
        costs = []
        for n in range(BATCH):
            looked_at, sounds, maps = [], [], []
            for step in range(3):
                features = method.image_trunk(batch["burst"][n : n + 1, step])
                sounds.append(method.audio_trunk(batch["audio"][n : n + 1, :, :, 30 * step : 30 * (step + 1)]))
                maps.append(method.attention(features, sounds[-1]))
                looked_at.append((features * maps[-1]).sum(dim=(2, 3)))
            both = torch.cat([seen_by(torch.cat(looked_at))[0], heard_by(torch.cat(sounds))[0]], dim=1).relu()
            logits = torch.stack([method.event(both[step]) for step in range(3)]).max(dim=0).values
            costs.append(-float(logits.log_softmax(dim=0)[batch["label"][n]]))
            assert torch.allclose(found.map[n], maps[1][0], atol=1e-6)
            assert found.score[n].item() == pytest.approx(logits.softmax(dim=0).max().item(), rel=1e-4)
    assert losses["event"].item() == pytest.approx(sum(costs) / BATCH, rel=1e-4)
    assert losses["total"].item() == pytest.approx(losses["event"].item() + losses["matching"].item())


def of_segments(batch: dict) -> dict:
    """The same clips, with another image before their own and another after it."""
    image = batch["image"]
    return batch | {"burst": torch.stack([image.flip(-1), image, image.flip(-2)], dim=1)}


def memories(method: Method) -> tuple[torch.nn.LSTM, torch.nn.LSTM]:
    return method.image_memory, method.audio_memory


def test_an_image_alone_stands_still_and_the_middle_segment_has_the_map_and_is_matched() -> None:
    method, batch = build(segments=3), of_segments(make_batch())
    still = batch | {"burst": batch["image"][:, None].expand(-1, 3, -1, -1, -1)}
    with torch.no_grad():
        alone, moving = method(batch["image"], batch["audio"]), method.predict(batch)
        for given, expected in zip(alone[:4], method.predict(still)[:4], strict=True):
            assert torch.allclose(given, expected, atol=1e-6)
        assert not torch.allclose(alone.score, moving.score)  # which the other segments have a say in
        for kept in ("map", "image_embedding", "audio_embedding"):
            assert torch.allclose(getattr(alone, kept), getattr(moving, kept), atol=1e-6)
        responses = method.class_responses(batch)
    assert torch.allclose(responses.sum(dim=1), moving.map, atol=1e-6)
    assert torch.allclose(responses.sum(dim=(2, 3)).amax(dim=1), moving.score, atol=1e-6)


def test_one_segment_has_the_weights_it_always_had() -> None:
    parts = {name.partition(".")[0] for name in build(segments=1).state_dict()}
    assert parts == {
        "image_trunk", "audio_trunk", "image_query", "audio_query", "image_units", "audio_units", "response", "event",
        "image_matching", "audio_matching",
    }  # fmt: skip
    method = build()
    assert method.event[0].in_features == method.image_trunk.dimension + method.audio_trunk.dimension
    assert (method.needs, method.burst) == ({"labels"}, (0, 0.0))


@pytest.mark.parametrize("wrong", [{"segments": 2}, {"segments": 5}, {"segments": 3, "sound_seconds": 1.1}])
def test_segments_without_a_middle_and_sounds_too_far_away_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError, match=r"odd number|lower segments or raise rate"):
        Config(**wrong)
    Config(segments=3)
    Config(segments=9, rate=4.0)
