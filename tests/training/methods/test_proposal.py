"""The proposal-based method: a plain loss, its selection and weights, and the boxes it gives."""

import math

import pytest
import torch
from pydantic import ValidationError

from training.config import Encoder, Encoders
from training.encoders.regions import PYRAMID_CELLS, pyramid
from training.methods.proposal import Config, Method

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, SIDE = 3, 64


def build(**options: object) -> Method:
    torch.manual_seed(0)
    return Method(Config(**{"dimension": 16, "proposals": 4, "mismatches": "all"} | options), TINY).eval()


def make_batch(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    low = 0.6 * torch.rand(BATCH, 9, 2, generator=generator)
    boxes = torch.cat([low, low + 0.15 + 0.25 * torch.rand(BATCH, 9, 2, generator=generator)], dim=2)
    boxes[1, 2:] = 0.0  # the second image has two proposals
    return {
        "image": torch.randn(BATCH, 3, SIDE, SIDE, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 90, generator=generator),
        "proposals": boxes,
        "source": torch.arange(BATCH),
    }


@pytest.mark.parametrize("attention", ["locations", "channels", "cosine"])
def test_attention_is_a_distribution_over_cells(attention: str) -> None:
    method, batch = build(attention=attention), make_batch()
    with torch.no_grad():
        maps = method(batch["image"], batch["audio"]).map
    assert maps.shape == (BATCH, 8, 8)
    assert (maps >= 0).all()
    assert torch.allclose(maps.sum(dim=(1, 2)), torch.ones(BATCH), atol=1e-5)


def test_the_k_regions_that_respond_most_are_kept_and_missing_ones_masked() -> None:
    method, batch = build(selection="mean"), make_batch()
    maps = torch.zeros(BATCH, 8, 8)
    maps[:, 2, 5] = 1.0
    boxes, valid = method.selected(batch["proposals"], maps)
    assert boxes.shape == (BATCH, 4, 4)
    assert valid.sum(dim=1).tolist() == [4, 2, 4]
    every, present = build(selection="all").selected(batch["proposals"], maps)
    assert torch.equal(every, batch["proposals"])
    assert present.sum(dim=1).tolist() == [9, 2, 9]


def test_weights_are_ratios_and_even_where_no_region_agrees() -> None:
    method, heard = build(), torch.tensor([[1.0, 0.0]])
    regions = torch.tensor([[[0.6, 0.8], [0.2, 0.9], [-1.0, 0.0], [0.9, 0.1]]])
    valid = torch.tensor([[True, True, True, False]])
    fits, weights = method.weighed(regions, heard, valid)
    assert fits.tolist() == [pytest.approx([0.6, 0.2, 0.0, 0.0])]
    assert weights.tolist() == [pytest.approx([0.75, 0.25, 0.0, 0.0], abs=1e-5)]
    fits, weights = method.weighed(-regions.abs(), heard, valid)
    assert not fits.any()
    assert weights.tolist() == [pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])]
    assert not method.weighed(regions, heard, torch.zeros_like(valid))[1].any()
    softmax = build(weighting="softmax").weighed(regions, heard, valid)[1]
    expected = [math.exp(0.6), math.exp(0.2), 1.0]
    assert softmax.tolist() == [pytest.approx([*(e / sum(expected) for e in expected), 0.0])]


def test_loss_is_that_of_a_plain_reading_of_the_paper() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        losses = method.loss(batch)
        features, heard = method.image_trunk(batch["image"]), method.audio_trunk(batch["audio"])
        seen, sounds, attended = [], [], []
        for n in range(BATCH):
            cells = features[n].flatten(1).T
            over_cells = torch.softmax(method.image_attention(cells), dim=0)
            over_channels = torch.softmax(method.audio_attention(heard[n]), dim=0)
            w = over_cells @ over_channels
            frame = method.frame_head(sum(weight * cell for weight, cell in zip(w, cells, strict=True)))
            attended.append(frame / frame.norm())
            sound = method.audio_head(heard[n])
            sounds.append(sound / sound.norm())
            boxes, valid = method.selected(batch["proposals"][n : n + 1], w.view(1, 8, 8))
            described = method.region_head(pyramid(features[n : n + 1], boxes))[0][valid[0]]
            described = described / described.norm(dim=1, keepdim=True)
            fits = (described @ sounds[n]).clamp(min=0)
            alpha = fits / fits.sum() if fits.sum() > 0 else torch.full_like(fits, 1 / len(fits))
            pooled = (alpha[:, None] * described).sum(dim=0)
            seen.append(pooled / pooled.norm())
    ratios = []
    for n in range(BATCH):
        for m in range(BATCH):
            if m != n:
                right, wrong = float((seen[n] - sounds[n]).norm()), float((seen[n] - sounds[m]).norm())
                ratios.append(2 / (1 + math.exp(wrong - right)) ** 2)
    euclidean = sum(float((f - a).square().sum()) for f, a in zip(seen, attended, strict=True)) / BATCH
    assert losses["ratio"].item() == pytest.approx(sum(ratios) / len(ratios), rel=1e-3)
    assert losses["euclidean"].item() == pytest.approx(euclidean, rel=1e-3)
    assert losses["total"].item() == pytest.approx(losses["ratio"].item() + 0.5 * euclidean, rel=1e-3)


def test_selection_passes_no_gradient_and_l_euc_alone_trains_the_attention() -> None:
    batch = make_batch()
    for weight, trained in ((0.0, False), (0.5, True)):
        method = build(euclidean_weight=weight).train()
        method.loss(batch)["total"].backward()
        assert bool(method.image_attention.weight.grad.any()) == trained
        assert method.region_head[0].weight.grad.any()


def test_boxes_are_of_the_best_regions_and_carry_the_confidence() -> None:
    method, batch = build(sources=2, answer="similarity"), make_batch()
    with torch.no_grad():
        found = method.predict(batch)
        features = method.visual(batch["image"])
        kept, valid = method.selected(batch["proposals"], found.map)
        fits, _ = method.weighed(method.described(features, kept), found.audio_embedding, valid)
    for n in range(BATCH):
        best = int(fits[n].masked_fill(~valid[n], -1).argmax())
        assert torch.equal(found.boxes[n, 0, :4], kept[n, best])
        assert found.score[n].item() == pytest.approx(fits[n, best].item())
    assert found.distance.shape == (BATCH,)
    assert (found.distance <= 2).all()


def test_of_regions_that_fit_equally_the_one_with_most_response_is_the_answer() -> None:
    method, maps = build(), torch.zeros(1, 8, 8)
    maps[0, 2:4, 2:4] = 1.0
    boxes = torch.tensor([[[0.25, 0.25, 0.5, 0.5], [0.25, 0.25, 1.0, 1.0], [0.3, 0.3, 0.4, 0.4], [0.7, 0.7, 1.0, 1.0]]])
    fits = torch.tensor([[0.9, 0.91, 0.9, 0.92]])
    assert method.ranked(fits, boxes, maps).argmax().item() == 0
    assert method.ranked(fits, boxes, maps)[0, 3].item() < 1e-5  # nothing responds there
    assert method.ranked(fits, boxes, torch.zeros_like(maps)).argmax().item() == 3
    assert build(answer="similarity").ranked(fits, boxes, maps).argmax().item() == 3


def test_normalised_heads_do_not_begin_at_one_vector() -> None:
    """Else all cosines of regions with sounds are near one value, whose sign is the seed's luck."""
    batch, spread = make_batch(), {}
    for normalised in (True, False):
        method = build(normalised_heads=normalised).train()
        vectors = torch.nn.functional.normalize(method.audio_head(method.audio_trunk(batch["audio"])), dim=1)
        spread[normalised] = (1 - vectors.mean(dim=0).norm()).item()
    assert spread[True] > 3 * spread[False]


def test_an_image_without_proposals_has_no_box_and_no_confidence() -> None:
    method, batch = build(), make_batch()
    batch["proposals"] = torch.zeros(BATCH, 0, 4)
    with torch.no_grad():
        assert method.predict(batch).boxes.isnan().all()
        assert not method.predict(batch).score.any()
    batch["proposals"] = torch.zeros(BATCH, 3, 4)
    assert torch.isfinite(method.loss(batch)["total"])


def test_the_pyramid_holds_the_maxima_of_its_finest_level() -> None:
    features = torch.rand(2, 5, 8, 8, generator=torch.Generator().manual_seed(3))
    boxes = torch.tensor(
        [[[0.0, 0.0, 1.0, 1.0], [0.25, 0.25, 0.75, 0.75]], [[0.5, 0.5, 0.5, 0.5], [0.1, 0.2, 0.9, 0.4]]]
    )
    found = pyramid(features, boxes)
    assert found.shape == (2, 2, PYRAMID_CELLS * 5)
    top, middle, finest = found.split([5, 20, 80], dim=2)
    assert torch.equal(top, finest.unflatten(2, (5, 16)).amax(dim=3))
    assert torch.equal(top, middle.unflatten(2, (5, 4)).amax(dim=3))
    assert torch.isfinite(found).all()
    constant = pyramid(torch.full((1, 2, 8, 8), 0.7), boxes[:1])
    assert torch.allclose(constant, torch.full_like(constant, 0.7))


def test_several_images_pass_through_lstms_up_to_the_clip_s_own() -> None:
    """The plain way, a cell and a step at a time; what comes after the clip's own image changes nothing."""
    torch.manual_seed(0)
    small = Encoder(blocks=(1, 1), width=8, weights="none")
    method = Method(Config(dimension=8, frames=5, rate=4.0), Encoders(image=small, audio=small)).eval()
    assert method.needs == {"proposals", "burst"}
    assert method.burst == (5, 4.0)
    burst, audio = torch.randn(2, 5, 3, 32, 32), torch.randn(2, 1, 65, 300)
    with torch.no_grad():
        features, cells, sound = method._streams({"image": burst[:, 2], "audio": audio, "burst": burst})
        seen = [method.visual(burst[:, step]) for step in range(3)]
        heard = [method.audio_trunk(audio[..., first : first + 96]) for first in (52, 77, 102)]
        assert torch.allclose(features, seen[2], atol=1e-6)
        assert torch.allclose(sound, method.audio_memory(torch.stack(heard, dim=1))[0][:, 2], atol=1e-5)
        one = torch.stack([each[1, :, 1, 2] for each in seen])[None]
        assert torch.allclose(cells[1, 4 + 2], method.image_memory(one)[0][0, 2], atol=1e-5)
        later = burst.clone()
        later[:, 3:] = 0
        again = method._streams({"image": burst[:, 2], "audio": audio, "burst": later})
        assert torch.equal(again.cells, cells)
        alone = method(burst[:, 2], audio)
        still = burst[:, 2:3].expand(-1, 5, -1, -1, -1)
        both = {"image": burst[:, 2], "audio": audio, "burst": still, "proposals": torch.zeros(2, 1, 4)}
        assert torch.allclose(alone.map, method.predict(both).map, atol=1e-6)


def test_images_without_a_middle_and_sounds_too_far_away_are_refused() -> None:
    for wrong in ({"frames": 2}, {"frames": 5}, {"frames": 3, "sound_seconds": 1.2}):
        with pytest.raises(ValidationError):
            Config(**wrong)
    Config(frames=3)
