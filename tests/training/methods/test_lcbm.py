"""The LCBM-style stand-in: its losses read plainly, and the map between what one class layer has made comparable."""

import math
from typing import Literal

import pytest
import torch
from pydantic import ValidationError

from training.config import Encoder, Encoders
from training.methods.lcbm import Config, Method
from training.runs import options_of_its_time

TINY = Encoders(image=Encoder(blocks=(1, 1), weights="none"), audio=Encoder(blocks=(1, 1), input_pool=(4, 3)))
BATCH, SIDE = 3, 64


def build(shared: bool = True, response: Literal["product", "cosine"] = "product", frames: int = 1) -> Method:
    torch.manual_seed(0)
    return Method(Config(classes=5, dimension=12, shared=shared, response=response, frames=frames), TINY).eval()


def make_batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
    return {"image": image, "audio": torch.randn(BATCH, 1, 65, 90, generator=generator), "label": torch.arange(BATCH)}


@pytest.mark.parametrize("shared", [True, False])
def test_loss_is_that_of_a_plain_reading(shared: bool) -> None:
    method, batch = build(shared), make_batch()
    with torch.no_grad():
        losses = method.loss(batch)
        seen = method.visual(batch["image"]).flatten(2).mean(dim=2)
        heard = method.auditory(batch["audio"])
        image = [method.image_classes(s) for s in seen]
        audio = [(method.image_classes if shared else method.audio_classes)(h) for h in heard]
        pairs = list(zip(seen, heard, strict=True))
        both = [
            method.image_classes((s + h) / 2) if shared else method.both_classes(torch.cat([s, h])) for s, h in pairs
        ]
    for name, logits in (("image", image), ("audio", audio), ("both", both)):
        costs = [-float(each.log_softmax(dim=0)[label]) for each, label in zip(logits, batch["label"], strict=True)]
        assert losses[name].item() == pytest.approx(sum(costs) / BATCH, rel=1e-4)
    assert losses["total"].item() == pytest.approx(sum(losses[name].item() for name in ("image", "audio", "both")))


def test_features_of_nothing_cost_the_logarithm_of_the_classes() -> None:
    method = build()
    torch.nn.init.zeros_(method.image_classes.weight)
    torch.nn.init.zeros_(method.image_classes.bias)
    with torch.no_grad():
        assert method.loss(make_batch())["total"].item() == pytest.approx(3 * math.log(5), rel=1e-5)


@pytest.mark.parametrize("response", ["product", "cosine"])
def test_the_map_is_what_cells_have_of_the_sounds_direction(response: Literal["product", "cosine"]) -> None:
    method, batch = build(response=response), make_batch()
    with torch.no_grad():
        found = method(batch["image"], batch["audio"])
        cell, heard = method.visual(batch["image"])[1, :, 2, 3], method.auditory(batch["audio"])[1]
    length = cell.norm() if response == "product" else 1.0
    cosine = torch.cosine_similarity(cell, heard, dim=0)
    assert found.map[1, 2, 3].item() == pytest.approx((cosine * length).item(), rel=1e-4)
    assert (found.map >= 0).all()


def test_a_cell_that_tells_no_class_answers_to_no_sound() -> None:
    """Short cells point anywhere: their cosine may be high, their product is not."""
    short, long = torch.tensor([0.01, 0.0, 0.0]), torch.tensor([3.0, 4.0, 0.0])
    cells = torch.stack([short, long], dim=1).view(1, 3, 1, 2).expand(BATCH, -1, -1, -1)
    maps = {}
    for response in ("product", "cosine"):
        method = build(response=response)
        method.visual = lambda image: cells
        method.auditory = lambda audio: torch.tensor([[1.0, 0.0, 0.0]]).expand(BATCH, -1)
        maps[response] = method(torch.zeros(BATCH, 3, 8, 8), torch.zeros(BATCH, 1, 4, 4)).map[0, 0].tolist()
    assert maps["product"] == pytest.approx([0.01, 3.0])
    assert maps["cosine"] == pytest.approx([1.0, 0.6])


def test_runs_from_before_the_option_keep_their_cosine() -> None:
    assert options_of_its_time({"name": "lcbm", "classes": 5})["response"] == "cosine"


@pytest.mark.parametrize("shared", [True, False])
def test_classes_are_told_from_the_mean_over_images_and_the_map_is_of_the_middle_one(shared: bool) -> None:
    one, several, batch = build(shared), build(shared, frames=3), make_batch()
    assert list(one.state_dict()) == list(several.state_dict())
    assert (several.needs, several.burst) == ({"labels", "burst"}, (3, 1.0))
    assert (one.needs, one.burst) == ({"labels"}, (0, 0.0))
    image = batch["image"]
    batch["burst"] = torch.stack([image.flip(-1), image, 2 * image], dim=1)
    with torch.no_grad():
        means = [several.visual(batch["burst"][:, number]).mean(dim=(2, 3)) for number in range(3)]
        seen, heard = sum(means) / 3, several.auditory(batch["audio"])
        logits, losses = several.logits(seen, heard), several.loss(batch)
        for name, each in logits.items():
            expected = torch.nn.functional.cross_entropy(each, batch["label"])
            assert losses[name].item() == pytest.approx(expected.item(), rel=1e-4)
        found, own = several.predict(batch), one.predict(batch)
        assert torch.allclose(found.image_embedding, torch.nn.functional.normalize(seen, dim=1), atol=1e-6)
        assert torch.allclose(found.map, own.map, atol=1e-6)
        assert torch.allclose(several.class_responses(batch), one.class_responses(batch), atol=1e-6)
        assert torch.allclose(several(image, batch["audio"]).map, own.map, atol=1e-6)


def test_images_without_a_middle_are_refused() -> None:
    with pytest.raises(ValidationError, match="frames is 2; an odd number has a middle one"):
        Config(frames=2)
