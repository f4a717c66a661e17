"""Vanilla LVS: its loss against loops, and what HardPos mines with."""

import math

import pytest
import torch

from training.config import Encoder, Encoders
from training.methods.lvs_vanilla import Config, Method

TINY = Encoders(image=Encoder(blocks=(1, 1)), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH = 5


class Fixed(Method):
    """Vanilla LVS with its encoders replaced by given features."""

    def visual(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def auditory(self, audio: torch.Tensor) -> torch.Tensor:
        return audio


def features() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    visual, audio = torch.rand(BATCH, 8, 4, 4, generator=generator), torch.rand(BATCH, 8, generator=generator)
    return visual, audio / audio.norm(dim=1, keepdim=True)


def plain_loss(visual: torch.Tensor, audio: torch.Tensor, temperature: float) -> float:
    visual = (visual / visual.norm(dim=1, keepdim=True)).flatten(2).double()
    total = 0.0
    for n in range(BATCH):
        responses = []
        for m in range(BATCH):
            cells = (audio[m].double() @ visual[n]).tolist()
            weights = [1 / (1 + math.exp(-(c - 0.65) / 0.03)) for c in cells]
            responses.append(sum(w * c for w, c in zip(weights, cells, strict=True)) / sum(weights) / temperature)
        total -= (responses[n] - math.log(sum(math.exp(r) for r in responses))) / BATCH
    return total


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_loss_equals_the_printed_formula(temperature: float) -> None:
    visual, audio = features()
    loss = Fixed(Config(temperature=temperature), TINY).loss({"image": visual, "audio": audio})["total"]
    assert float(loss) == pytest.approx(plain_loss(visual, audio, temperature), rel=1e-4)


def test_identical_clips_give_the_logarithm_of_the_batch() -> None:
    visual, audio = features()
    same = {"image": visual[:1].expand(BATCH, -1, -1, -1), "audio": audio[:1].expand(BATCH, -1)}
    assert float(Fixed(Config(), TINY).loss(same)["total"]) == pytest.approx(math.log(BATCH), abs=1e-5)


def test_the_image_is_embedded_by_averaging_features_before_they_are_normalised() -> None:
    visual, audio = features()
    visual[:, :, 0, 0] *= 10  # a strong cell weighs more in the average, not more than others in the map
    prediction = Fixed(Config(), TINY)(visual, audio)
    for n in range(BATCH):
        mean = torch.stack([visual[n, :, y, x] for y in range(4) for x in range(4)]).mean(dim=0)
        assert torch.allclose(prediction.image_embedding[n], mean / mean.norm(), atol=1e-6)
        for y, x in ((0, 0), (3, 1)):
            expected = torch.cosine_similarity(visual[n, :, y, x], audio[n], dim=0)
            assert float(prediction.map[n, y, x]) == pytest.approx(float(expected), abs=1e-6)
    assert torch.equal(prediction.audio_embedding, audio)
