"""EZ-VSL against an independent plain implementation of its loss, and its published identities."""

import math

import pytest
import torch

from training.config import Encoder, Encoders
from training.methods.ezvsl import Config, Method

TINY = Encoders(image=Encoder(blocks=(1, 1)), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))


def features(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    visual = torch.randn(6, 16, 7, 7, generator=generator)
    audio = torch.randn(6, 16, generator=generator)
    return visual / visual.norm(dim=1, keepdim=True), audio / audio.norm(dim=1, keepdim=True)


def plain_loss(visual: torch.Tensor, audio: torch.Tensor, temperature: float) -> float:
    """The printed formula with loops: max over cells, both directions, sum."""
    size = len(audio)
    z = [[max(float(visual[n, :, y, x] @ audio[m]) for y in range(7) for x in range(7)) / temperature
          for m in range(size)] for n in range(size)]  # fmt: skip
    rows = -sum(z[n][n] - math.log(sum(math.exp(v) for v in z[n])) for n in range(size)) / size
    columns = -sum(z[m][m] - math.log(sum(math.exp(z[n][m]) for n in range(size))) for m in range(size)) / size
    return rows + columns


class Fixed(Method):
    """EZ-VSL with its encoders replaced by given unit features, passed through the batch."""

    def visual(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def auditory(self, audio: torch.Tensor) -> torch.Tensor:
        return audio


@pytest.mark.parametrize("temperature", [0.03, 0.07, 1.0])
def test_loss_equals_the_printed_formula(temperature: float) -> None:
    visual, audio = features()
    method = Fixed(Config(temperature=temperature), TINY)
    loss = method.loss({"image": visual, "audio": audio})["total"]
    assert float(loss) == pytest.approx(plain_loss(visual, audio, temperature), rel=1e-5)


def test_identical_clips_give_two_logarithms_of_the_batch() -> None:
    visual, audio = features()
    same = {"image": visual[:1].expand(6, -1, -1, -1), "audio": audio[:1].expand(6, -1)}
    assert float(Fixed(Config(), TINY).loss(same)["total"]) == pytest.approx(2 * math.log(6), abs=1e-5)


def test_neighbours_as_own_views_leave_the_loss_as_it_is() -> None:
    visual, audio = features()
    semantic = Fixed(Config(positives=("own", "image", "audio", "both")), TINY)
    batch = {"image": visual, "audio": audio, "neighbours": {"image": visual, "audio": audio}}
    own = Fixed(Config(), TINY).loss(batch)["total"]
    losses = semantic.loss(batch)
    assert float(losses["total"]) == pytest.approx(float(own), rel=1e-6)
    assert set(losses) == {"total", "own", "image", "audio", "both"}


def test_each_term_uses_the_views_it_names() -> None:
    visual, audio = features(0)
    near_visual, near_audio = features(1)
    batch = {"image": visual, "audio": audio, "neighbours": {"image": near_visual, "audio": near_audio}}
    losses = Fixed(Config(positives=("own", "image", "audio", "both"), temperature=0.5), TINY).loss(batch)
    pairs = {"own": (visual, audio), "image": (near_visual, audio), "audio": (visual, near_audio),
             "both": (near_visual, near_audio)}  # fmt: skip
    for name, (v, a) in pairs.items():
        assert float(losses[name]) == pytest.approx(plain_loss(v, a, 0.5), rel=1e-5), name


@pytest.mark.parametrize(
    ("positives", "needs"),
    [(("own",), set()), (("own", "image"), {"near_image"}), (("own", "audio"), {"near_audio"}),
     (("own", "both"), {"neighbours"}), (("image", "audio"), {"neighbours"})],
)  # fmt: skip
def test_of_a_neighbour_only_what_the_terms_use_is_asked_for(positives, needs: set[str]) -> None:
    visual, audio = features(0)
    near_visual, near_audio = features(1)
    near = {"image": near_visual, "audio": near_audio}
    method = Fixed(Config(positives=positives, temperature=0.5), TINY)
    assert method.needs == needs
    given = {name: near[name] for name in near if needs & {"neighbours", f"near_{name}"}}
    losses = method.loss({"image": visual, "audio": audio, "neighbours": given})
    assert set(losses) == {"total", *positives}


def test_excluded_clips_are_no_negatives_in_either_direction() -> None:
    visual, audio = features()
    same = {"image": visual[:1].expand(6, -1, -1, -1), "audio": audio[:1].expand(6, -1)}
    near, nothing = torch.zeros(6, 6, dtype=torch.bool), torch.zeros(6, 6, dtype=torch.bool)
    near[0, 1:4] = True
    batch = same | {"exclusions": {"image": near, "audio": nothing, "source": nothing}}
    method = Fixed(Config(exclude=("image", "source")), TINY)
    assert float(method.loss(batch)["total"]) == pytest.approx(2 * (math.log(3) + 5 * math.log(6)) / 6, rel=1e-5)
    assert method.needs == {"exclusions"}
    audio_only = Fixed(Config(exclude=("audio",)), TINY)
    assert float(audio_only.loss(batch)["total"]) == pytest.approx(2 * math.log(6), rel=1e-5)


@pytest.mark.parametrize("matching", ["mean", "pooled"])
def test_the_other_matching_strategies(matching: str) -> None:
    visual, audio = features()
    z = torch.empty(6, 6)
    for n in range(6):
        for m in range(6):
            cells = visual[n].flatten(1).T
            if matching == "mean":
                z[n, m] = sum(float(cell @ audio[m]) for cell in cells) / 49
            else:
                z[n, m] = torch.cosine_similarity(cells.max(dim=0).values, audio[m], dim=0)
    z = z.double() / 0.03
    expected = -(z.log_softmax(dim=1).diagonal() + z.log_softmax(dim=0).diagonal()).mean()
    loss = Fixed(Config(matching=matching), TINY).loss({"image": visual, "audio": audio})["total"]
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)


def test_prediction_is_the_cosine_map_and_its_maximum() -> None:
    visual, audio = features()
    prediction = Fixed(Config(), TINY)(visual, audio)
    for n in range(6):
        expected = torch.einsum("chw,c->hw", visual[n], audio[n])
        assert torch.allclose(prediction.map[n], expected, atol=1e-6)
        assert float(prediction.score[n]) == pytest.approx(float(expected.max()), abs=1e-6)


def test_paper_size_maps_are_seven_by_seven() -> None:
    full = Encoders(image=Encoder(), audio=Encoder())
    prediction = Method(Config(), full).eval()(torch.zeros(1, 3, 224, 224), torch.zeros(1, 1, 257, 300))
    assert prediction.map.shape == (1, 7, 7)
    assert prediction.image_embedding.shape == (1, 512)
