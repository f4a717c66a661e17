"""A trunk is asked once for what several pairs share, and every method then says what it says of each pair alone."""

import pytest
import torch

from training.config import Encoder, Encoders
from training.data.pairs import EvaluationPair
from training.methods import method_config, method_module, method_names
from training.methods.contract import BaseMethod
from training.predict import object_maps_of, once, shared_trunk

TINY = Encoders(
    image=Encoder(blocks=(1, 1, 1), width=16, weights="none"),
    audio=Encoder(blocks=(1, 1, 1), width=16, input_pool=(4, 3)),
)
IMAGES, SOUNDS = [5, 5, 9, 9, 5], ["a", "silence", "silence", "b", "c"]


def built(name: str) -> BaseMethod:
    torch.manual_seed(0)
    module = method_module(name)
    return module.Method(method_config(name, {}), TINY).eval()


def repeated(names: list, shape: tuple[int, ...]) -> torch.Tensor:
    """The same values for the same name."""
    of_name = {name: torch.randn(shape) for name in dict.fromkeys(names)}
    return torch.stack([of_name[name] for name in names])


@pytest.mark.parametrize("name", sorted(set(method_names()) - {"dsol_mixtures"}))  # begins with a dictionary
@torch.no_grad()
def test_every_method_says_the_same_of_shared_images_and_sounds(name: str) -> None:
    method = built(name)
    image, audio = repeated(IMAGES, (3, 64, 64)), repeated(SOUNDS, (1, 129, 150))
    alone = method(image, audio)
    shared = method(
        once(shared_trunk(method, "image"), image, IMAGES), once(shared_trunk(method, "audio"), audio, SOUNDS)
    )
    for one, other in zip(alone, shared, strict=True):
        if one is not None:
            torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-4)


def test_a_part_sees_each_value_once_and_only_where_some_are_shared() -> None:
    seen = []

    def part(values: torch.Tensor) -> torch.Tensor:
        seen.append(values.flatten().tolist())
        return 10 * values

    values = torch.tensor([[1.0], [1.0], [2.0]])
    assert once(part, values, ["x", "x", "y"]).flatten().tolist() == [10, 10, 20]
    assert seen == [[1, 2]]
    assert once(part, values, ["x", "y", "z"]) is values
    assert once(None, values, ["x", "x", "y"]) is values


def test_an_image_has_one_object_map_over_all_batches() -> None:
    seen = []

    def prior(images: torch.Tensor) -> torch.Tensor:
        seen.append(images.flatten().tolist())
        return 10 * images

    known = {}
    assert object_maps_of(prior, torch.tensor([[1.0], [1.0], [2.0]]), [5, 5, 6], known).flatten().tolist() == [
        10,
        10,
        20,
    ]
    assert object_maps_of(prior, torch.tensor([[2.0], [3.0]]), [6, 7], known).flatten().tolist() == [20, 30]
    assert object_maps_of(prior, torch.tensor([[2.0]]), [6], known).flatten().tolist() == [20]
    assert seen == [[1, 2], [3]]


def test_pairs_hear_the_same_silence_but_noise_of_their_own() -> None:
    own, silent, other, noisy = (EvaluationPair(f"c{at}", at, at, made) for at, made in
                                 enumerate((None, "silence", "silence", "noise")))  # fmt: skip
    assert silent.heard == other.heard
    assert len({own.heard, silent.heard, noisy.heard}) == 3
    assert noisy.heard != EvaluationPair("c9", 3, 3, "noise").heard
    assert own.heard == EvaluationPair("another image", 7, 0).heard
