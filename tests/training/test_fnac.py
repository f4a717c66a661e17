"""FNAC against plain loops, its zeros and its bounds, and the stripes it hides as released and as meant."""

import math

import pytest
import torch

from training.config import Encoder, Encoders
from training.methods.fnac import SILENCE, Config, Method, adjacency_distance, foreground_features, mask_sounds

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
    method = Fixed(Config(audio_masks="none", **options), TINY)
    method.before_epoch(0 if warming_up else 99)
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
    among_sounds = products(audio.double().tolist())
    return {
        "contrast": contrast,
        "audio_suppression": distance(among_sounds, z),
        "enhancement": distance(among_sounds, products(foregrounds)),
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
    method = Fixed(Config(audio_masks="none", warmup_epochs=2), TINY)
    totals = {}
    for epoch in (0, 1, 2, 3, 1):
        method.before_epoch(epoch)
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


def stripes(kind: str, rows: int, columns: int, count: int = 400) -> torch.Tensor:
    torch.manual_seed(0)
    return mask_sounds(torch.ones(count, 1, rows, columns), 10, kind)[:, 0]


def test_corrected_stripes_lie_along_their_own_axis_and_are_silent() -> None:
    masked = stripes("corrected", rows=40, columns=90)
    hidden = masked != 1
    rows, columns = hidden.all(dim=2), hidden.all(dim=1)
    assert masked[hidden].unique().tolist() == pytest.approx([SILENCE])
    assert pytest.approx(-1.34317, abs=1e-5) == SILENCE
    assert torch.equal(hidden, rows.unsqueeze(2) | columns.unsqueeze(1))
    assert rows.sum(dim=1).unique().tolist() == columns.sum(dim=1).unique().tolist() == list(range(10))
    assert rows.any(dim=0).all()
    assert columns.any(dim=0).all()


def test_released_stripes_are_loud_and_start_along_the_other_axis() -> None:
    masked = stripes("released", rows=40, columns=90)
    hidden = masked != 1
    rows, columns = hidden.all(dim=2), hidden.all(dim=1)
    assert masked[hidden].unique().tolist() == [0.0]
    assert float(rows.any(dim=1).float().mean()) == pytest.approx(0.9 * 40 / 90, abs=0.07)  # the others fall outside
    assert float(columns.any(dim=1).float().mean()) == pytest.approx(0.9, abs=0.05)
    assert not columns[:, 40 + 9 :].any()  # the last columns are never reached


def test_masks_are_drawn_from_torch_s_seed_and_only_in_training() -> None:
    torch.manual_seed(0)
    method = Method(Config(), TINY)
    batch = {"image": torch.randn(4, 3, 32, 32), "audio": torch.randn(4, 1, 65, 60)}
    totals = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        totals.append(float(method.train().loss(batch)["total"].detach()))
    assert totals[0] == totals[1] != totals[2]
    method.eval()
    assert torch.equal(method(**batch).map, method(**batch).map)


def test_prediction_is_the_cosine_map_and_its_maximum() -> None:
    visual, audio = features()
    prediction = Fixed(Config(), TINY)(visual, audio)
    for n in range(BATCH):
        expected = torch.einsum("chw,c->hw", visual[n], audio[n])
        assert torch.allclose(prediction.map[n], expected, atol=1e-6)
        assert float(prediction.score[n]) == pytest.approx(float(expected.max()), abs=1e-6)
