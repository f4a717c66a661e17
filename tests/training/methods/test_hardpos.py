"""HardPos against plain loops, its closed form, and negatives that are neighbours."""

import math
from pathlib import Path

import pytest
import torch

from index.neighbours import Neighbours
from manifests.errors import InputError
from training.config import Encoder, Encoders, load_config
from training.methods.hardpos import Config, Method

TINY = Encoders(image=Encoder(blocks=(1, 1)), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, CELLS = 5, 16


class Fixed(Method):
    """HardPos with its encoders replaced by given features."""

    def visual(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def auditory(self, audio: torch.Tensor) -> torch.Tensor:
        return audio


def features(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    visual, audio = torch.rand(BATCH, 8, 4, 4, generator=generator), torch.rand(BATCH, 8, generator=generator)
    return visual / visual.norm(dim=1, keepdim=True), audio / audio.norm(dim=1, keepdim=True)


def nobody() -> torch.Tensor:
    return torch.zeros(BATCH, BATCH, dtype=torch.bool)


def batch_of(own_seed: int = 0, near_seed: int = 1, **excluded: torch.Tensor) -> dict:
    (visual, audio), (near_visual, near_audio) = features(own_seed), features(near_seed)
    exclusions = {name: excluded.get(name, nobody()) for name in ("image", "audio", "source")}
    near = {"image": near_visual, "audio": near_audio}
    return {"image": visual, "audio": audio, "neighbours": near, "exclusions": exclusions}


def cosines(visual: torch.Tensor, audio: torch.Tensor) -> list[float]:
    return (audio.double() @ visual.flatten(1).double()).tolist()


def masked_mean(cells: list[float]) -> float:
    weights = [1 / (1 + math.exp(-(c - 0.65) / 0.03)) for c in cells]
    return sum(w * c for w, c in zip(weights, cells, strict=True)) / sum(weights)


def mean(cells: list[float]) -> float:
    return sum(cells) / CELLS


def plain_loss(batch: dict, temperature: float, combine: str = "sum_inside_log", pooled=masked_mean) -> float:
    near, total = batch["neighbours"], 0.0
    for i in range(BATCH):
        maps = [
            cosines(image[i], auditory[i])
            for image in (batch["image"], near["image"])
            for auditory in (batch["audio"], near["audio"])
        ]
        positives = [math.exp(masked_mean(cells) / temperature) for cells in maps]
        negative = 0.0
        for j in range(BATCH):
            excluded = i == j or any(bool(mask[i, j]) for mask in batch["exclusions"].values())
            if not excluded:
                negative += math.exp(pooled(cosines(batch["image"][j], batch["audio"][i])) / temperature)
        agreeing = [sum(positives)] if combine == "sum_inside_log" else positives
        total -= sum(math.log(positive / (positive + negative)) for positive in agreeing) / BATCH
    return total


def loss_of(batch: dict, **options: object) -> float:
    return float(Fixed(Config(**options), TINY).loss(batch)["total"])


@pytest.mark.parametrize("temperature", [0.07, None])
@pytest.mark.parametrize(("negatives", "pooled"), [("masked", masked_mean), ("mean", mean)])
def test_loss_equals_the_formula(temperature: float | None, negatives: str, pooled) -> None:
    batch = batch_of()
    expected = plain_loss(batch, temperature or 1.0, pooled=pooled)
    assert loss_of(batch, temperature=temperature, negatives=negatives) == pytest.approx(expected, rel=1e-4)


def peaked_and_deaf() -> dict:
    """One cell of every image answers every sound with cosine 1, the fifteen others with 0."""
    sounds = torch.eye(8)[:1].expand(BATCH, -1)
    images = torch.eye(8)[1][None, :, None, None].repeat(BATCH, 1, 4, 4)
    images[:, :, 1, 2] = torch.eye(8)[0]
    same = {"image": images, "audio": sounds}
    return {**same, "neighbours": same, "exclusions": {"image": nobody(), "audio": nobody()}}


def test_a_peaked_map_that_ignores_the_sound_gains_nothing_with_masked_negatives() -> None:
    """All pairs look alike, so their closed form is that of identical clips; the printed mean rewards the peak."""
    blind = math.log((4 + BATCH - 1) / 4)
    assert loss_of(peaked_and_deaf(), temperature=0.07) == pytest.approx(blind, abs=1e-4)
    rewarded = math.log1p((BATCH - 1) * math.exp((1 / CELLS - 1) / 0.07) / 4)
    printed = loss_of(peaked_and_deaf(), temperature=0.07, negatives="mean")
    assert printed == pytest.approx(rewarded, abs=1e-4)
    assert printed < 0.01 * blind


def test_the_default_is_masked_and_the_print_has_a_config_of_its_own() -> None:
    assert Config().negatives == "masked"
    printed = load_config("hardpos_as_printed").method.options
    assert (printed.negatives, printed.temperature) == ("mean", None)


def test_every_positive_by_itself_as_an_option() -> None:
    batch = batch_of()
    expected = plain_loss(batch, 0.07, combine="sum_of_logs")
    assert loss_of(batch, combine="sum_of_logs") == pytest.approx(expected, rel=1e-4)
    assert expected > plain_loss(batch, 0.07)


@pytest.mark.parametrize("modality", ["image", "audio", "source"])
def test_neighbours_and_clips_of_the_same_video_are_no_negatives(modality: str) -> None:
    excluded = nobody()
    excluded[0, 3] = excluded[2, 1] = excluded[4, 0] = True  # not symmetric: rows are anchors
    batch = batch_of(**{modality: excluded})
    assert loss_of(batch) == pytest.approx(plain_loss(batch, 0.07), rel=1e-4)
    assert loss_of(batch) < loss_of(batch_of())


def test_an_anchor_among_neighbours_only_costs_nothing() -> None:
    assert loss_of(batch_of(image=~torch.eye(BATCH, dtype=torch.bool))) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.07, None])
def test_identical_clips_give_their_closed_form(temperature: float | None) -> None:
    visual, audio = features(0)
    same = {
        "image": visual[:1, :, :1, :1].expand(BATCH, -1, 4, 4),
        "audio": audio[:1].expand(BATCH, -1),
    }
    batch = {**same, "neighbours": same, "exclusions": {"image": nobody(), "audio": nobody()}}
    assert loss_of(batch, temperature=temperature) == pytest.approx(math.log((4 + BATCH - 1) / 4), abs=1e-5)


def test_negatives_are_other_images_for_a_audio_not_other_sounds_for_a_image() -> None:
    batch = batch_of()
    visual, audio = batch["image"], batch["audio"].clone().requires_grad_()
    loss = Fixed(Config(temperature=1.0), TINY).loss({**batch, "audio": audio})["total"]
    loss.backward()
    alone = batch_of(source=~torch.eye(BATCH, dtype=torch.bool))
    alone["exclusions"]["source"][0] = torch.eye(BATCH, dtype=torch.bool)[0]  # only anchor 0 keeps its negatives
    audio.grad = None
    Fixed(Config(temperature=1.0), TINY).loss({**alone, "image": visual, "audio": audio})["total"].backward()
    assert audio.grad[0].any()
    assert not audio.grad[1:].any()


def test_one_strong_positive_suffices() -> None:
    """The sum stands inside the logarithm: a hopeless neighbour hardly costs anything beside a good own pair."""
    batch = batch_of()
    batch["image"] = batch["audio"][:, :, None, None].expand(-1, -1, 4, 4)  # own pairs agree perfectly
    good = loss_of(batch, temperature=0.02)
    batch["neighbours"] = {"image": torch.eye(8)[:BATCH, :, None, None].expand(-1, -1, 4, 4),
                           "audio": torch.eye(8)[3 : 3 + BATCH]}  # fmt: skip
    assert loss_of(batch, temperature=0.02) == pytest.approx(good, abs=0.05)


def test_it_asks_for_neighbours_and_exclusions() -> None:
    assert Method.needs == {"neighbours", "exclusions"}


def test_the_control_names_the_command_that_makes_its_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="`index random-knn --out knn-random`"):
        Neighbours.open(load_config("hardpos_random").data.neighbours, "a" * 64)
