"""AVOL-Net: an independent plain forward and loss, and what its single best cell means."""

import math

import pytest
import torch

from training.config import Encoder, Encoders
from training.methods.avol import Config, Method

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH = 4


@pytest.fixture
def method() -> Method:
    torch.manual_seed(0)
    return Method(Config(dimension=16), TINY).eval()


def inputs(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(BATCH, 3, 64, 64, generator=generator), torch.randn(BATCH, 1, 65, 90, generator=generator)


def plain_logits(method: Method, image: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """(B, B, h, w) by loops over images, sounds and cells, from the weights alone."""
    weights = method.state_dict()
    seen, heard = method.image_trunk(image), method.audio_trunk(audio)
    columns = []
    for sound in heard:
        hidden = (weights["audio_head.0.weight"] @ sound + weights["audio_head.0.bias"]).clamp(min=0)
        columns.append(weights["audio_head.2.weight"] @ hidden + weights["audio_head.2.bias"])
    first, second = (weights[f"image_head.{n}.weight"][:, :, 0, 0] for n in (0, 1))
    logits = torch.zeros(BATCH, BATCH, *seen.shape[2:])
    for n in range(BATCH):
        for y in range(seen.shape[2]):
            for x in range(seen.shape[3]):
                cell = second @ (first @ seen[n, :, y, x] + weights["image_head.0.bias"]) + weights["image_head.1.bias"]
                for m in range(BATCH):
                    logits[n, m, y, x] = weights["scale"] * (cell @ columns[m]) + weights["bias"]
    return logits


def test_forward_and_loss_are_those_of_a_plain_reading_of_the_paper(method: Method) -> None:
    image, audio = inputs()
    with torch.no_grad():
        logits = plain_logits(method, image, audio)
        prediction = method(image, audio)
        torch.manual_seed(7)
        loss = method.loss({"image": image, "audio": audio, "source": torch.arange(BATCH)})["total"]
    torch.manual_seed(7)
    order = torch.rand(BATCH, BATCH)
    cost = 0.0
    for n in range(BATCH):
        wrong = max((m for m in range(BATCH) if m != n), key=lambda m: float(order[n, m]))
        assert torch.allclose(prediction.map[n], torch.sigmoid(logits[n, n]), atol=1e-5)
        right_answer, wrong_answer = (torch.sigmoid(logits[n, m].max()).item() for m in (n, wrong))
        assert prediction.score[n].item() == pytest.approx(right_answer, abs=1e-5)
        cost -= (math.log(right_answer) + math.log(1 - wrong_answer)) / (2 * BATCH)
    assert loss.item() == pytest.approx(cost, rel=1e-4)


def test_only_the_best_cell_of_a_pair_learns(method: Method) -> None:
    generator = torch.Generator().manual_seed(1)
    visual = torch.randn(2, 16, 5, 5, generator=generator, requires_grad=True)
    sounds = torch.randn(2, 16, generator=generator)
    best = torch.einsum("ncx,mc->nmx", visual.detach().flatten(2), sounds).argmax(dim=2)  # (images, sounds)
    for source, heard in (([0, 0], lambda n: [n]), ([0, 1], lambda n: [n, 1 - n])):  # clips of one video, or of two
        visual.grad = None
        method.correspondence_loss(visual, sounds, {"source": torch.tensor(source)}, "all").backward()
        touched = visual.grad.abs().sum(dim=1).flatten(1) > 0
        for n in range(2):
            assert set(touched[n].nonzero().flatten().tolist()) == set(best[n, heard(n)].tolist())


def test_clips_of_one_video_are_never_mismatched(method: Method) -> None:
    image, audio = inputs()
    with torch.no_grad():
        alone = method.loss({"image": image, "audio": audio, "source": torch.zeros(BATCH, dtype=torch.int64)})["total"]
        logits = plain_logits(method, image, audio)
    own = [torch.sigmoid(logits[n, n].max()).item() for n in range(BATCH)]
    assert alone.item() == pytest.approx(-sum(math.log(y) for y in own) / (2 * BATCH), rel=1e-4)
