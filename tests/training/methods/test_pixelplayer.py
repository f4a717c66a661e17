"""PixelPlayer: its loss read plainly, maps that are shares of energy, and what stands in for a waveform."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from training.config import Encoder, Encoders
from training.methods.pixelplayer import Config, Method, grouped
from training.parts.separation import FREQUENCIES, spectrum, warped, warped_energy

TINY = Encoders(image=Encoder(blocks=(1, 1), width=16, weights="none"), audio=Encoder(blocks=(1, 1), width=16))
BATCH, SIDE, SAMPLES = 3, 64, 9000


def build(**options: object) -> Method:
    torch.manual_seed(0)
    method = Method(Config(**{"components": 5, "width": 8, "levels": 4} | options), TINY).eval()
    with torch.no_grad():  # first weights make nearly equal parts: larger ones show more
        for part in (method.image_components, *method.sound_components.modules()):
            if isinstance(part, torch.nn.Conv2d):
                part.weight.mul_(50)
    return method


def make_batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.randn(BATCH, 3, SIDE, SIDE, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 90, generator=generator),
        "waveform": 0.3 * torch.randn(BATCH, SAMPLES, generator=generator),
        "source": torch.arange(BATCH),
    }


def test_loss_is_that_of_a_plain_reading_of_the_code() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        torch.manual_seed(1)
        total = method.loss(batch)["total"].item()
        torch.manual_seed(1)
        order = torch.rand(BATCH, BATCH).masked_fill(torch.eye(BATCH, dtype=torch.bool), -1.0).argmax(dim=1)
        gains = 0.5 + torch.rand(2, BATCH, 1)
        costs = []
        for n in range(BATCH):
            one, other = (0.5 * (g * batch["waveform"][m]).clamp(-1, 1) for g, m in
                          ((gains[0, n], n), (gains[1, n], order[n])))  # fmt: skip
            mixed, *alone = (warped(spectrum(x[None]).abs()[..., :32])[0] for x in (one + other, one, other))
            parts = method.sound_components((mixed + 1e-10).log()[None, None])[0]
            weight = torch.log(1 + mixed).clamp(1e-3, 10)
            for m, own in zip((n, int(order[n])), alone, strict=True):
                cells = method.image_components(method.image_trunk(batch["image"][m : m + 1]))[0]
                gate = torch.sigmoid(cells.flatten(1).max(dim=1).values)
                logits = sum(w * i * s for w, i, s in zip(method.strength, gate, parts, strict=True)) + method.offset
                target = (own > 0.5 * mixed).float()
                costs.append(F.binary_cross_entropy(torch.sigmoid(logits), target, weight).item())
    assert total == pytest.approx(sum(costs) / len(costs), rel=1e-3)


def test_a_map_is_the_share_of_energy_that_a_cell_s_mask_lets_pass() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        found = method.predict(batch)
        magnitudes = spectrum(batch["waveform"]).abs()[..., :32]
        parts = method.sound_components((warped(magnitudes) + 1e-10).log().unsqueeze(1))
        gates = torch.sigmoid(method.image_components(method.image_trunk(batch["image"])))
        energies = warped_energy(magnitudes)
    for row, column in ((0, 0), (3, 5)):
        mask = torch.sigmoid((method.strength * gates[1, :, row, column]) @ parts[1].flatten(1) + method.offset)
        share = (mask.square() * energies[1].flatten()).sum() / energies[1].sum()
        assert found.map[1, row, column].item() == pytest.approx(share.item(), rel=1e-4)
    assert (found.map > 0).all()
    assert (found.map < 1).all()
    assert torch.equal(found.score, found.map.amax(dim=(1, 2)))


def test_a_mixture_has_a_map_for_each_group_of_cells_with_like_gates() -> None:
    """Two kinds of cells, side by side: each is a source's, that with the largest cell first, in any batch."""
    method, batch = build(), make_batch()
    kinds = 3 * torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    sides = torch.arange(8).expand(8, 8) < 3
    cells = torch.where(sides, kinds[0][:, None, None], kinds[1][:, None, None])
    noise = 0.01 * torch.randn(BATCH, 5, 8, 8, generator=torch.Generator().manual_seed(3))
    method.cells = lambda image: (cells + noise)[: len(image)]
    with torch.no_grad():
        whole = method.predict(batch).map
        maps, heard = method.source_maps(batch, 2)
        (alone,) = method.source_maps({name: value[:1] for name, value in batch.items()}, 2).maps
        assert torch.equal(method.source_maps(batch, 1).maps[:, 0], whole)
    assert torch.equal(heard, torch.ones(BATCH, 2))
    assert torch.equal(maps.sum(dim=1), whole)
    assert (maps[:, 0].amax(dim=(1, 2)) == whole.amax(dim=(1, 2))).all()
    for own in maps:
        assert {tuple(part.any(dim=0).tolist()) for part in own} == {
            tuple(sides[0].tolist()),
            tuple((~sides)[0].tolist()),
        }
    assert torch.allclose(alone, maps[0], atol=1e-6)


def test_where_all_cells_are_alike_there_is_one_source_and_silence_is_still_asked() -> None:
    method, batch = build(), make_batch()
    method.cells = lambda image: torch.ones(len(image), 5, 8, 8)
    with torch.no_grad():
        maps, heard = method.source_maps(batch | {"waveform": torch.zeros(BATCH, SAMPLES)}, 3)
    assert torch.equal(heard, torch.tensor([1.0, 0.0, 0.0]).expand(BATCH, 3))
    assert not maps.any()


def test_of_more_sources_than_cells_the_rest_are_empty() -> None:
    own = grouped(torch.rand(2, 4, 1, 2), 5)
    assert own.shape == (2, 5, 1, 2)
    assert own.sum(dim=(2, 3)).sort(dim=1).values.tolist() == [[0, 0, 0, 1, 1]] * 2


def test_loudness_changes_no_energy_share_but_silence_has_none() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        assert not method.predict(batch | {"waveform": torch.zeros(BATCH, SAMPLES)}).map.any()
        method.strength.zero_()
        method.offset.fill_(30.0)  # everything passes
        assert torch.allclose(method.predict(batch).map, torch.ones(BATCH, 8, 8), atol=1e-4)


def test_without_a_waveform_the_scale_of_the_spectrogram_does_not_matter() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        one, other = (method(batch["image"], sound).map for sound in (batch["audio"], 3 * batch["audio"] - 7))
    assert torch.allclose(one, other, atol=1e-4)


def test_a_batch_of_one_video_has_no_mixture_to_learn_from() -> None:
    method, batch = build().train(), make_batch()
    assert method.loss(batch | {"source": torch.zeros(BATCH, dtype=torch.long)})["total"].item() == 0.0


def test_sounds_are_as_long_as_the_u_net_can_halve() -> None:
    assert build(levels=4).heard(torch.randn(1, SAMPLES)).shape == (1, FREQUENCIES, 32)
    assert build(levels=5).heard(torch.randn(1, SAMPLES)).shape == (1, FREQUENCIES, 32)
    assert build(levels=7).heard(torch.randn(1, 33075)).shape == (1, FREQUENCIES, 128)


def test_the_image_trunk_moves_slower() -> None:
    slow, fast = build(head_rate=10.0).parameter_groups()
    assert (slow["rate"], fast["rate"]) == (1.0, 10.0)
    assert len(slow["params"]) + len(fast["params"]) == len(list(build().parameters()))


def test_several_images_gate_a_mixture_by_the_strongest_cell_of_any() -> None:
    """Two clips that are a pair: the loss is that of gates which are found an image and a cell at a time."""
    method, batch = build(images=3), with_bursts(make_batch())
    assert (method.needs, method.burst) == ({"waveform", "burst"}, (3, 1 / 3))
    with torch.no_grad():
        every = [method.image_components(method.image_trunk(batch["burst"][:, step])) for step in range(3)]
        strongest = torch.stack([cells.amax(dim=(2, 3)) for cells in every]).max(dim=0).values
        assert (strongest > every[1].amax(dim=(2, 3))).any()
        gates = torch.sigmoid(strongest)
        found = method.predict(batch)
        assert torch.allclose(found.image_embedding, F.normalize(gates, dim=1), atol=1e-6)
        method.cells = lambda image: torch.logit(gates)[:, :, None, None]  # one image with these gates
        alone = batch | {"burst": batch["burst"][:, 1:2]}
        torch.manual_seed(1)
        expected, apart = method.loss(alone)["total"], method.separated(batch["image"], batch["waveform"])
        del method.cells
        torch.manual_seed(1)
        assert method.loss(batch)["total"].item() == pytest.approx(expected.item(), rel=1e-4)
        assert torch.allclose(method.separated(batch["burst"], batch["waveform"]), apart, atol=1e-5)


def with_bursts(batch: dict) -> dict:
    """The same clips, with another image before their own and another after it."""
    image = batch["image"]
    return batch | {"burst": torch.stack([image.flip(-1), image, 2 * image.flip(-2)], dim=1)}


def test_the_map_is_that_of_the_clip_s_own_image() -> None:
    one, several, batch = build(), build(images=3), with_bursts(make_batch())
    assert list(one.state_dict()) == list(several.state_dict())
    assert (one.needs, one.burst) == ({"waveform"}, (0, 0.0))
    with torch.no_grad():
        own, found = one.predict(batch), several.predict(batch)
        assert torch.allclose(own.map, found.map, atol=1e-6)
        assert not torch.allclose(own.image_embedding, found.image_embedding)
        still, image = batch["image"][:, None].expand(-1, 3, -1, -1, -1), batch["image"]
        stood = several.separated(still, batch["waveform"])
        assert torch.allclose(stood, several.separated(image, batch["waveform"]), atol=1e-6)
        assert torch.allclose(stood, one.separated(image, batch["waveform"]), atol=1e-6)


def test_images_without_a_middle_are_refused() -> None:
    with pytest.raises(ValidationError, match="images is 4; an odd number has a middle one"):
        Config(images=4)
