"""LVS, both formulas, against plain loops written from the text, and against the released -99 trick where it holds."""

import math

import pytest
import torch

from training.config import Encoder, Encoders
from training.methods.lvs import Config, Method

TINY = Encoders(image=Encoder(blocks=(1, 1)), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, CELLS = 5, 16


def features(signed: bool = False, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit features; without a sign they are what post-ReLU trunks give, with cosines around the thresholds."""
    generator = torch.Generator().manual_seed(seed)
    visual = torch.randn(BATCH, 8, 4, 4, generator=generator)
    audio = torch.randn(BATCH, 8, generator=generator)
    if not signed:
        visual, audio = visual.abs(), audio.abs()
    return visual / visual.norm(dim=1, keepdim=True), audio / audio.norm(dim=1, keepdim=True)


def cosines(visual: torch.Tensor, audio: torch.Tensor) -> list[list[list[float]]]:
    """c[n][m][x] in double precision."""
    return torch.einsum("ncx,mc->nmx", visual.flatten(2).double(), audio.double()).tolist()


def weight(cosine: float, threshold: float) -> float:
    return 1 / (1 + math.exp(-(cosine - threshold) / 0.03))


def masked_mean(cells: list[float], weights: list[float]) -> float:
    return sum(c * w for c, w in zip(cells, weights, strict=True)) / sum(weights)


def foreground(cells: list[float]) -> float:
    return masked_mean(cells, [weight(c, 0.65) for c in cells])


def background(cells: list[float], threshold: float = 0.40) -> float:
    return masked_mean(cells, [1 - weight(c, threshold) for c in cells])


def cross_entropy_of_first(logits: list[float]) -> float:
    return math.log(sum(math.exp(v - logits[0]) for v in logits))


def plain_code_loss(c: list[list[list[float]]], muting: float, silent_below: float = 0.40) -> float:
    """The released structure: [s+, all s_nm with a muted diagonal, s-] / 0.07, target 0; `muting` is -99 or -inf."""
    total = 0.0
    for n in range(BATCH):
        responses = [foreground(c[n][m]) for m in range(BATCH)]
        own = responses[n]
        responses[n] = own * muting if math.isfinite(muting) else muting
        logits = [own, *responses, background(c[n][n], silent_below)]
        total += cross_entropy_of_first([v / 0.07 for v in logits]) / BATCH
    return total


def plain_paper_loss(c: list[list[list[float]]]) -> float:
    total = 0.0
    for n in range(BATCH):
        positive = foreground(c[n][n])
        negative = background(c[n][n]) + sum(sum(c[n][m]) / CELLS for m in range(BATCH) if m != n)
        total -= math.log(math.exp(positive) / (math.exp(positive) + math.exp(negative))) / BATCH
    return total


class Fixed(Method):
    """LVS with its encoders replaced by given unit features, passed through the batch."""

    def visual(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def auditory(self, audio: torch.Tensor) -> torch.Tensor:
        return audio


def loss_of(visual: torch.Tensor, audio: torch.Tensor, **options: object) -> float:
    return float(Fixed(Config(**options), TINY).loss({"image": visual, "audio": audio})["total"])


@pytest.mark.parametrize("signed", [False, True])
def test_the_code_s_formula(signed: bool) -> None:
    visual, audio = features(signed)
    expected = plain_code_loss(cosines(visual, audio), muting=-math.inf)
    assert loss_of(visual, audio) == pytest.approx(expected, rel=1e-4)


def test_the_released_muting_agrees_for_positive_responses_and_explodes_for_negative_ones() -> None:
    visual, audio = features()
    assert loss_of(visual, audio) == pytest.approx(plain_code_loss(cosines(visual, audio), muting=-99), rel=1e-4)
    opposed = -torch.ones(BATCH, 8) / math.sqrt(8)
    visual = torch.ones(BATCH, 8, 4, 4) / math.sqrt(8)
    assert plain_code_loss(cosines(visual, opposed * 0.4), muting=-99) > 100
    assert loss_of(visual, opposed * 0.4) == pytest.approx(math.log(BATCH + 1), rel=1e-4)


def test_one_threshold_keeps_a_background_negative() -> None:
    visual, audio = features()
    expected = plain_code_loss(cosines(visual, audio), muting=-math.inf, silent_below=0.65)
    assert loss_of(visual, audio, tri_map=False) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("signed", [False, True])
def test_the_paper_s_formula(signed: bool) -> None:
    visual, audio = features(signed)
    expected = plain_paper_loss(cosines(visual, audio))
    assert loss_of(visual, audio, formula="as_paper") == pytest.approx(expected, rel=1e-4)


def test_identical_clips() -> None:
    visual, audio = (part[:1] for part in features())
    visual = visual[:, :, :1, :1].expand(BATCH, -1, 4, 4)
    cosine = float(visual[0, :, 0, 0] @ audio[0])
    audio = audio.expand(BATCH, -1)
    assert loss_of(visual, audio) == pytest.approx(math.log(BATCH + 1), abs=1e-5)
    paper = math.log1p(math.exp((BATCH - 1) * cosine))  # positive c against c + (B - 1) c
    assert loss_of(visual, audio, formula="as_paper") == pytest.approx(paper, rel=1e-5)


def test_each_formula_brings_its_own_temperature_and_an_explicit_one_wins() -> None:
    visual, audio = features()
    assert loss_of(visual, audio) == loss_of(visual, audio, temperature=0.07)
    assert loss_of(visual, audio) != loss_of(visual, audio, temperature=1.0)
    printed = loss_of(visual, audio, formula="as_paper")
    assert printed == loss_of(visual, audio, formula="as_paper", temperature=1.0)


@pytest.mark.parametrize("held_still", [False, True])
def test_gradients_pass_through_the_masks(held_still: bool) -> None:
    visual, audio = features()
    visual.requires_grad_()
    Fixed(Config(), TINY).loss({"image": visual, "audio": audio})["total"].backward()
    through, visual.grad = visual.grad, None
    c = torch.einsum("nchw,mc->nmhw", torch.nn.functional.normalize(visual, dim=1), audio)
    own = c.diagonal().permute(2, 0, 1)
    p, q = torch.sigmoid((c - 0.65) / 0.03), torch.sigmoid((0.40 - own) / 0.03)
    if held_still:
        p, q = p.detach(), q.detach()
    responses, silent = (p * c).sum((2, 3)) / p.sum((2, 3)), (q * own).sum((1, 2)) / q.sum((1, 2))
    logits = torch.cat([responses, silent[:, None]], dim=1) / 0.07
    torch.nn.functional.cross_entropy(logits, torch.arange(BATCH)).backward()
    assert torch.allclose(through, visual.grad, atol=1e-4) != held_still


def test_head_less_features_give_cosines_that_are_not_negative() -> None:
    torch.manual_seed(0)
    short = Encoder(blocks=(1, 1, 1, 1), last_stride=1)
    method = Method(Config(), Encoders(image=short, audio=short)).eval()
    prediction = method(torch.randn(2, 3, 112, 112), torch.randn(2, 1, 65, 60))
    assert prediction.map.shape == (2, 7, 7)
    assert (prediction.map >= 0).all()
    assert (prediction.map <= 1 + 1e-6).all()
    assert torch.equal(prediction.score, prediction.map.amax(dim=(1, 2)))


def test_paper_size_maps_are_fourteen_by_fourteen() -> None:
    full = Encoders(image=Encoder(last_stride=1), audio=Encoder())
    prediction = Method(Config(), full).eval()(torch.zeros(1, 3, 224, 224), torch.zeros(1, 1, 257, 300))
    assert prediction.map.shape == (1, 14, 14)
    assert prediction.image_embedding.shape == prediction.audio_embedding.shape == (1, 512)
