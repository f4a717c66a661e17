"""Hear the Flow: its attention read plainly, what flow can and cannot change, and its weights."""

import math

import pytest
import torch

from manifests.errors import InputError
from training.config import Encoder, Encoders
from training.encoders.flow import build_flow_trunk, enlarged
from training.methods.heartheflow import Config, Method

SMALL = Encoder(blocks=(1, 1), width=16, weights="none")
TINY = Encoders(image=SMALL, audio=Encoder(blocks=(1, 1), width=16, input_pool=(4, 3)))
BATCH, SIDE = 3, 64


def build(flow: str = "cnn", encoders: Encoders = TINY) -> Method:
    torch.manual_seed(0)
    return Method(Config(flow=flow), encoders).eval()


def make_batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.randn(BATCH, 3, SIDE, SIDE, generator=generator),
        "audio": torch.randn(BATCH, 1, 65, 90, generator=generator),
        "flow": torch.randn(BATCH, 2, 56, 56, generator=generator),
        "source": torch.arange(BATCH),
    }


@pytest.mark.parametrize("flow", ["cnn", "maxpool"])
def test_loss_is_that_of_a_plain_reading_of_the_code(flow: str) -> None:
    method, batch = build(flow), make_batch()
    with torch.no_grad():
        total = method.loss(batch)["total"].item()
        features, sounds = method.image_trunk(batch["image"]), method.auditory(batch["audio"])
        moving = torch.nn.functional.adaptive_max_pool2d(batch["flow"], (8, 8))
        if flow == "cnn":
            moving = method.flow_trunk(enlarged(batch["flow"], batch["image"]))
        attended = []
        for n in range(BATCH):
            q, k, v = (f(x[n : n + 1])[0].flatten(1) for f, x in
                       ((method.query, features), (method.key, moving), (method.value, features)))  # fmt: skip
            alpha = torch.softmax(q.T @ k / math.sqrt(features.shape[1] // 8), dim=1)
            own = features[n].flatten(1) + v @ alpha.T
            attended.append(own / own.norm(dim=0))
        costs = []
        for n in range(BATCH):
            logits = []
            for m in range(BATCH):
                c = sounds[m] @ attended[n]
                p = torch.sigmoid((c - 0.65) / 0.03)
                logits.append((p * c).sum() / p.sum())
            c = sounds[n] @ attended[n]
            q = torch.sigmoid(-(c - 0.40) / 0.03)
            logits.append((q * c).sum() / q.sum())
            costs.append(-torch.log_softmax(torch.stack(logits) / 0.07, dim=0)[n].item())
    assert total == pytest.approx(sum(costs) / BATCH, rel=1e-3)


def test_an_image_alone_is_one_that_stands_still() -> None:
    method, batch = build(), make_batch()
    with torch.no_grad():
        still = method.predict(batch | {"flow": torch.zeros(BATCH, 2, 56, 56)})
        assert torch.allclose(method(batch["image"], batch["audio"]).map, still.map, atol=1e-6)
        assert not torch.allclose(method.predict(batch).map, still.map, atol=1e-4)


def test_cells_that_look_the_same_stay_the_same_whatever_moves() -> None:
    """Flow is in the keys only: this is what the page says that the formula cannot do."""
    method, batch = build("maxpool"), make_batch()
    alike = batch["image"].mean(dim=(2, 3), keepdim=True).expand_as(batch["image"])
    method.image_trunk.forward = lambda image: image[:, :1].expand(-1, 32, -1, -1)[..., ::8, ::8]
    with torch.no_grad():
        attended = method.attended(alike, batch["flow"])
    assert torch.allclose(attended, attended[..., :1, :1].expand_as(attended), atol=1e-6)


def test_the_flow_trunk_has_the_image_trunk_s_weights_but_for_its_first_convolution(tmp_path) -> None:
    from index.encoders.tensor_file import write_tensors
    from training.encoders.weights import build_image_trunk

    source = build_image_trunk(SMALL)
    file = tmp_path / "trunk.safetensors"
    write_tensors(file, source.state_dict())
    flow = build_flow_trunk(SMALL.model_copy(update={"weights": str(file), "frozen": True})).state_dict()
    for name, value in source.state_dict().items():
        assert name == "conv1.weight" or torch.equal(value, flow[name]), name
    assert flow["conv1.weight"].shape == (16, 2, 7, 7)
    with pytest.raises(InputError, match=r"encoders\.image\.layout is vgg16"):
        build_flow_trunk(Encoder(layout="vgg16", weights="none"))


def test_a_frozen_image_trunk_stays_while_the_flow_s_learns() -> None:
    frozen = TINY.model_copy(update={"image": SMALL.model_copy(update={"frozen": True})})
    method = build(encoders=frozen).train()
    method.loss(make_batch())["total"].backward()
    assert all(weight.grad is None for weight in method.image_trunk.parameters())
    assert all(weight.grad is not None for weight in method.flow_trunk.parameters())


def test_cells_alone_are_those_that_maps_of_still_images_are_made_of() -> None:
    method, batch = build("cnn"), make_batch()
    with torch.no_grad():
        seen, heard = method.visual(batch["image"]), method.auditory(batch["audio"])
        shown = method(batch["image"], batch["audio"]).map
    torch.testing.assert_close(torch.einsum("nchw,nc->nhw", seen, heard), shown)
