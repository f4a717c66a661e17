"""DSOL's second stage: a plain loss, quarters, what is heard by the frozen copy, and where it begins."""

import math

import pytest
import torch

from manifests.errors import InputError
from training.config import Encoder, Encoders
from training.methods import dsol
from training.methods.dsol_mixtures import Config, Method, quartered_loss

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, CLASSES = 4, 3


def build(seed: int = 0) -> Method:
    torch.manual_seed(seed)
    method = Method(Config(dimension=16, clusters=CLASSES, mismatches="all"), TINY)
    method.dictionary.normal_()
    method.before_epoch(0, None)
    return method.eval()


def make_batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.randn(BATCH, 3, 64, 64, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 90, generator=generator),
        "source": torch.arange(BATCH),
    }


def test_loss_is_that_of_a_plain_reading_of_the_code() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        losses = method.loss(batch)
        features, sounds = method.image_trunk(batch["image"]), method.auditory(batch["audio"])
        cells = method.projected_image(features)
        divergence, own, foreign = 0.0, [], []
        heard = method.audio_classes(method.audio_trunk(batch["audio"]))
        for n in range(BATCH):
            maps = [torch.sigmoid(5.0 * (cells[n] * sound.view(-1, 1, 1)).sum(dim=0)) for sound in sounds]
            summed = [
                float((((features[n] * d.view(-1, 1, 1)).sum(dim=0) / len(d)) * maps[n]).mean())
                for d in method.dictionary
            ]
            seen, wanted = torch.tensor(summed).softmax(dim=0), heard[n].softmax(dim=0)
            divergence += float((wanted * (wanted / seen).log()).sum()) / (BATCH * CLASSES)
            own.append(-math.log(maps[n].max()))
            for m in range(BATCH):
                if m != n:
                    corners = [maps[m][y : y + 4, x : x + 4].max() for y in (0, 4) for x in (0, 4)]
                    assert len(corners) == 4
                    foreign.append(-sum(math.log(1 - corner) for corner in corners) / 4)
    localization = (sum(own) / len(own) + sum(foreign) / len(foreign)) / 2
    assert losses["categories"].item() == pytest.approx(divergence, rel=1e-3)
    assert losses["localization"].item() == pytest.approx(localization, rel=1e-3)
    assert losses["total"].item() == pytest.approx(divergence + 0.5 * localization, rel=1e-3)


def test_no_opinion_costs_ln_2_and_a_wrong_quarter_costs() -> None:
    mismatched = ~torch.eye(2, dtype=torch.bool)
    assert quartered_loss(torch.zeros(2, 2, 4, 4), mismatched).item() == pytest.approx(math.log(2))
    logits = torch.full((2, 2, 4, 4), -30.0)
    logits[0, 0, 1, 1] = logits[1, 1, 2, 2] = 30.0
    assert quartered_loss(logits, mismatched).item() == pytest.approx(0.0, abs=1e-6)
    logits[0, 1, 3, 0] = 30.0  # one quarter of one wrong pair of two
    assert quartered_loss(logits, mismatched).item() == pytest.approx(30 / 4 / 2 / 2, rel=1e-4)


def test_one_cell_of_a_matching_pair_learns_and_one_of_each_quarter_of_a_mismatched_one() -> None:
    logits = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    quartered_loss(logits, ~torch.eye(2, dtype=torch.bool)).backward()
    touched = logits.grad != 0
    assert touched.sum(dim=(2, 3)).tolist() == [[1, 4], [4, 1]]
    quarters = touched[0, 1].unflatten(0, (2, 3)).unflatten(2, (2, 3))  # (rows, 3, columns, 3)
    assert quarters.sum(dim=(1, 3)).tolist() == [[1, 1], [1, 1]]


def test_categories_cost_nothing_only_where_seen_and_heard_agree() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        method.audio_classes.weight.zero_()
        method.audio_classes.bias.zero_()
        method.strength.zero_()  # nothing is seen to differ, nothing heard
        assert method.loss(batch)["categories"].item() == pytest.approx(0.0, abs=1e-6)
        method.audio_classes.bias[0] = 3.0
        assert method.loss(batch)["categories"].item() > 0.05


def test_class_maps_share_out_every_cell() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        found = method.class_maps(batch["image"], batch["audio"])
    assert found.shape == (BATCH, CLASSES, 8, 8)
    assert torch.allclose(found.sum(dim=1), torch.ones(BATCH, 8, 8), atol=1e-5)


def test_sources_are_the_classes_whose_maps_rise_and_the_one_that_is_heard_most() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        everywhere = method.source_maps(batch, 2)
        assert torch.equal(everywhere.maps, method.class_maps(batch["image"], batch["audio"]))
        method.class_maps = lambda *pair: torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1).expand(BATCH, 3, 8, 8)
        method.audio_classes.weight.zero_()
        for loudest, sounding in ((0, [True, True, True]), (1, [False, True, True])):
            method.audio_classes.bias[:] = torch.eye(CLASSES)[loudest]
            found = method.source_maps(batch, 2).heard
            assert torch.equal(found > 0, torch.tensor([sounding] * BATCH))
            assert found.argmax(dim=1).tolist() == [loudest] * BATCH


def test_it_begins_with_the_first_stage_and_keeps_what_that_heard() -> None:
    torch.manual_seed(1)
    first = dsol.Method(dsol.Config(dimension=16, clusters=CLASSES), TINY)
    first.dictionary.normal_()
    torch.manual_seed(2)
    method = Method(Config(dimension=16, clusters=CLASSES), TINY)
    with pytest.raises(InputError, match="init_from"):
        method.check_clips(None)
    mine = method.state_dict().keys()
    method.load_state_dict({name: value for name, value in first.state_dict().items() if name in mine}, strict=False)
    method.check_clips(None)
    method.before_epoch(0, None)
    audio = make_batch()["audio"]
    with torch.no_grad():
        expected = first.audio_classes(first.eval().audio_trunk(audio))
        for parameter in method.audio_trunk.parameters():
            parameter.add_(0.1)  # what training does
        method.before_epoch(1, None)
        method.train()
        assert torch.allclose(method.audio_classes(method.heard_trunk(audio)), expected, atol=1e-5)
    trained = {name for name, parameter in method.named_parameters() if parameter.requires_grad}
    assert not any(name.startswith(("heard_trunk", "audio_classes")) for name in trained)
