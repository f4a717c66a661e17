"""FNAC against plain loops, its zeros and its bounds."""

import math

import pytest
import torch

from training.config import Encoder, Encoders
from training.methods.fnac import Config, Method, adjacency_distance, foreground_features

TINY = Encoders(image=Encoder(blocks=(1, 1)), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, CELLS, T = 5, 9, 0.03


class Fixed(Method):
    """FNAC with its encoders replaced by given unit features, passed through the batch."""

    def visual(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def auditory(self, audio: torch.Tensor) -> torch.Tensor:
        return audio


def features(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    visual = torch.randn(BATCH, 8, 3, 3, generator=generator)
    audio = torch.randn(BATCH, 8, generator=generator)
    return visual / visual.norm(dim=1, keepdim=True), audio / audio.norm(dim=1, keepdim=True)


def losses_of(visual: torch.Tensor, audio: torch.Tensor, warming_up: bool = False, **options: object) -> dict:
    method = Fixed(Config(**options), TINY)
    method.before_epoch(0 if warming_up else 99, None)
    return {name: float(value) for name, value in method.loss({"image": visual, "audio": audio}).items()}


def softmax(values: list[float]) -> list[float]:
    exponents = [math.exp(v - max(values)) for v in values]
    return [e / sum(exponents) for e in exponents]


def distance(one: list[list[float]], other: list[list[float]]) -> float:
    rows = zip(map(softmax, one), map(softmax, other), strict=True)
    return sum(abs(a - b) for x, y in rows for a, b in zip(x, y, strict=True)) / BATCH**2


def products(vectors: list[list[float]]) -> list[list[float]]:
    return [[sum(a * b for a, b in zip(v, w, strict=True)) / T for w in vectors] for v in vectors]


def plain_terms(visual: torch.Tensor, audio: torch.Tensor) -> dict[str, float]:
    """The four terms as the text has them, in double precision with loops."""
    cells = visual.flatten(2).double()
    everyone = range(BATCH)
    z = [[max(float(cells[n, :, x] @ audio[m].double()) for x in range(CELLS)) / T for m in everyone] for n in everyone]
    columns = [list(column) for column in zip(*z, strict=True)]
    contrast = -sum(math.log(softmax(z[n])[n]) + math.log(softmax(columns[n])[n]) for n in everyone) / BATCH
    means = [[float(cells[n, c].sum()) / CELLS for c in range(8)] for n in everyone]
    foregrounds = []
    for n in everyone:
        own = [float(cells[n, :, x] @ audio[n].double()) / T for x in range(CELLS)]
        kept = [x for x in range(CELLS) if (own[x] - min(own)) / (max(own) - min(own) + 1e-5) > 0.6]
        foregrounds.append([sum(float(cells[n, c, x]) for x in kept) / CELLS for c in range(8)])
    among_auditory = products(audio.double().tolist())
    return {
        "contrast": contrast,
        "audio_suppression": distance(among_auditory, z),
        "enhancement": distance(among_auditory, products(foregrounds)),
        "visual_suppression": distance(products(means), z),
    }


def test_every_term_equals_the_printed_formula() -> None:
    visual, audio = features()
    losses, expected = losses_of(visual, audio), plain_terms(visual, audio)
    for name, value in expected.items():
        assert losses[name] == pytest.approx(value, rel=1e-4), name
    regularisers = sum(value for name, value in expected.items() if name != "contrast")
    assert losses["total"] == pytest.approx(expected["contrast"] + 100 * regularisers, rel=1e-4)


def test_each_weight_is_of_its_own_term() -> None:
    visual, audio = features()
    losses = losses_of(visual, audio, audio_suppression=2.0, enhancement=3.0, visual_suppression=5.0)
    weighted = 2 * losses["audio_suppression"] + 3 * losses["enhancement"] + 5 * losses["visual_suppression"]
    assert losses["total"] == pytest.approx(losses["contrast"] + weighted, rel=1e-5)


def test_the_contrast_alone_counts_while_warming_up() -> None:
    visual, audio = features()
    losses = losses_of(visual, audio, warming_up=True)
    assert losses["total"] == pytest.approx(losses["contrast"], rel=1e-6)
    assert losses["audio_suppression"] > 0


def test_the_warm_up_ends_with_its_last_epoch_wherever_a_run_is_resumed() -> None:
    visual, audio = features()
    method = Fixed(Config(warmup_epochs=2), TINY)
    totals = {}
    for epoch in (0, 1, 2, 3, 1):
        method.before_epoch(epoch, None)
        totals[epoch] = float(method.loss({"image": visual, "audio": audio})["total"])
    assert totals[0] == totals[1] < totals[2] == totals[3]


def test_identical_clips_give_two_logarithms_and_no_distance() -> None:
    visual, audio = features()
    losses = losses_of(visual[:1].expand(BATCH, -1, -1, -1), audio[:1].expand(BATCH, -1))
    assert losses["contrast"] == pytest.approx(2 * math.log(BATCH), abs=1e-5)
    assert losses["total"] == pytest.approx(losses["contrast"], abs=1e-3)


def test_distance_is_zero_for_rows_that_differ_by_a_constant_and_two_over_the_batch_at_most() -> None:
    logits = torch.randn(BATCH, BATCH, generator=torch.Generator().manual_seed(0))
    assert float(adjacency_distance(logits, logits + torch.arange(BATCH).view(-1, 1))) == pytest.approx(0, abs=1e-6)
    one, other = 1e3 * torch.eye(BATCH), 1e3 * torch.eye(BATCH).roll(1, dims=1)
    assert float(adjacency_distance(one, other)) == pytest.approx(2 / BATCH, abs=1e-6)


def test_foreground_of_a_constant_map_is_empty_and_of_a_peak_is_one_cell_over_all() -> None:
    visual, _ = features()
    assert not foreground_features(visual, torch.full((BATCH, 3, 3), 4.0), 0.6).any()
    peak = torch.zeros(BATCH, 3, 3)
    peak[:, 1, 2] = 7.0
    assert torch.allclose(foreground_features(visual, peak, 0.6), visual[:, :, 1, 2] / CELLS)


def test_prediction_is_the_cosine_map_and_its_maximum() -> None:
    visual, audio = features()
    prediction = Fixed(Config(), TINY)(visual, audio)
    for n in range(BATCH):
        expected = torch.einsum("chw,c->hw", visual[n], audio[n])
        assert torch.allclose(prediction.map[n], expected, atol=1e-6)
        assert float(prediction.score[n]) == pytest.approx(float(expected.max()), abs=1e-6)
