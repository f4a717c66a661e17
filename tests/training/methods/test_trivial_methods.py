"""The baselines that learn nothing: exact maps, and what the evaluation makes of them."""

import math

import numpy as np
import pytest
import torch

from training.config import Encoder, Encoders
from training.evaluation.floors import disc_masks
from training.evaluation.postprocess import binarise, prepare
from training.evaluation.protocols import known_protocols
from training.methods import method_config, method_module

PROTOCOLS = known_protocols("localization")

TRIVIAL = ["centred_disc", "object_prior", "random_map", "whole_image"]
TINY = Encoders(image=Encoder(blocks=(1, 1, 1)), audio=Encoder(blocks=(1, 1)))
BATCH, SIZE = 4, 64


def build(name: str, seed: int = 0, **options: object) -> torch.nn.Module:
    torch.manual_seed(seed)
    return method_module(name).Method(method_config(name, options), TINY).eval()


def inputs(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(BATCH, 3, SIZE, SIZE, generator=generator), torch.randn(BATCH, 1, 129, 150, generator=generator)


def masks(name: str, protocol: str, truth_pixels: np.ndarray) -> np.ndarray:
    maps = build(name)(*inputs()).map.numpy()
    chosen = PROTOCOLS[protocol]
    return binarise(prepare(maps, chosen)["audio_visual"].maps, chosen, truth_pixels).masks


@pytest.mark.parametrize("name", TRIVIAL)
def test_nothing_is_trained_and_there_is_no_loss(name: str) -> None:
    method = build(name)
    assert not [parameter for parameter in method.parameters() if parameter.requires_grad]
    with pytest.raises(TypeError, match="has no loss"):
        method.loss({})


@pytest.mark.parametrize("protocol", ["ezvsl", "lvs", "textbook", "slavc_relative", "adaptive_exact"])
def test_the_disc_is_the_evaluation_s_own_floor(protocol: str) -> None:
    truth_pixels = np.array([100, 5000, 25088, 40000])
    assert np.array_equal(masks("centred_disc", protocol, truth_pixels), disc_masks(PROTOCOLS[protocol], truth_pixels))


def test_the_disc_cut_at_zero_is_half_of_the_image() -> None:
    disc = build("centred_disc")(*inputs()).map[0]
    assert float((disc >= 0).float().mean()) == pytest.approx(0.5, abs=0.002)
    assert -1 < float(disc.min()) < -0.98
    assert 0.98 < float(disc.max()) < 1
    radius = math.sqrt(224**2 / (2 * math.pi))
    assert float(disc[112, 112 + int(radius) - 1]) > 0 > float(disc[112, 112 + int(radius) + 1])
    assert torch.equal(disc, disc.flip(0))
    assert torch.equal(disc, disc.T)


@pytest.mark.parametrize(
    ("protocol", "share"), [("ezvsl", 1.0), ("slavc_relative", 1.0), ("sspl", 1.0), ("kaist", 0.0)]
)
def test_the_whole_image_is_predicted_where_ties_are_kept(protocol: str, share: float) -> None:
    assert masks("whole_image", protocol, np.full(BATCH, 1000)).mean() == share


def test_random_maps_belong_to_their_pair_and_their_seed() -> None:
    image, audio = inputs()
    method = build("random_map")
    prediction = method(image, audio)
    assert prediction.map.shape == (BATCH, 7, 7)
    assert prediction.map.abs().max() <= 1
    backwards = method(image.flip(0), audio.flip(0))
    assert torch.equal(prediction.map, backwards.map.flip(0))
    other_auditory = method(image, audio.roll(1, dims=0))
    assert not torch.isclose(prediction.map, other_auditory.map).all(dim=(1, 2)).any()
    assert torch.equal(prediction.image_embedding, other_auditory.image_embedding)
    assert torch.equal(prediction.audio_embedding.roll(1, dims=0), other_auditory.audio_embedding)
    assert not torch.equal(prediction.map, build("random_map", seed=1)(image, audio).map)


def test_random_maps_are_uniform_and_their_embeddings_orthogonal_on_average() -> None:
    generator = torch.Generator().manual_seed(0)
    image, audio = torch.randn(300, 3, 2, 2, generator=generator), torch.randn(300, 1, 2, 2, generator=generator)
    prediction = build("random_map", grid=14)(image, audio)
    assert float(prediction.map.mean()) == pytest.approx(0, abs=0.01)
    assert float(prediction.map.var()) == pytest.approx(1 / 3, abs=0.01)
    cosines = prediction.image_embedding @ prediction.audio_embedding.T
    assert float(cosines.mean()) == pytest.approx(0, abs=0.01)
    assert float(cosines.var()) == pytest.approx(1 / 128, rel=0.1)


def test_the_object_prior_is_the_mean_activation_and_hears_nothing() -> None:
    image, audio = inputs()
    method = build("object_prior")
    prediction = method(image, audio)
    features = method.image_trunk(image)
    assert torch.allclose(prediction.map, features.abs().sum(dim=1) / features.shape[1])
    assert torch.equal(prediction.map, method(image, audio.roll(1, dims=0)).map)
    method.train()
    assert torch.equal(prediction.map, method(image, audio).map)
