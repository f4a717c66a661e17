"""EfficientNet-Lite0 and YAMNet as trunks of a method: weights, stride, freezing, projection, the object prior."""

import pytest
import torch
from pydantic import ValidationError

from index.encoders.efficientnet_lite import Classifier
from index.encoders.yamnet import Yamnet
from manifests.errors import InputError
from training.config import Encoder, Encoders, ObjectPrior, RunConfig
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.lvs import Config, Method
from training.object_prior import ObjectPrior as Prior
from training.object_prior import architecture_of


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Classifier]:
    torch.manual_seed(0)
    model, path = Classifier().eval(), tmp_path_factory.mktemp("weights") / "lite.pth"
    torch.save(model.state_dict(), path)
    return str(path), model


@pytest.fixture(scope="module")
def yamnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Yamnet]:
    torch.manual_seed(1)
    model, path = Yamnet().eval(), tmp_path_factory.mktemp("weights") / "yamnet.pth"
    torch.save(model.state_dict(), path)
    return str(path), model


def test_the_image_trunk_has_the_file_s_weights_at_both_strides(lite: tuple[str, Classifier]) -> None:
    path, model = lite
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        deep = build_image_trunk(Encoder(layout="efficientnet_lite0", weights=path, frozen=True))
        assert torch.equal(deep.train()(image), model(image))  # frozen: batch norm stays as it came
        shallow = build_image_trunk(Encoder(layout="efficientnet_lite0", weights=path, last_stride=1)).eval()
        assert shallow.dimension == 112
        assert shallow(image).shape == (1, 112, 4, 6)
    assert not any(parameter.requires_grad for parameter in deep.parameters())
    assert all(parameter.requires_grad for parameter in shallow.parameters())


def test_the_audio_trunk_undoes_the_run_s_scaling_and_refuses_other_spectrograms(yamnet: tuple[str, Yamnet]) -> None:
    path, model = yamnet
    trunk = build_audio_trunk(Encoder(layout="yamnet", weights=path, frozen=True))
    bands = torch.randn(2, 64, 150)
    with torch.no_grad():
        assert torch.allclose(trunk(bands.unsqueeze(1) / 12), model(bands), atol=1e-5)
        cells = trunk.cells(bands.unsqueeze(1) / 12)
        assert cells.shape == (2, 1024, 1, 2)
        assert torch.allclose(cells.mean(dim=(2, 3)), model(bands), atol=1e-5)
    with pytest.raises(InputError, match="Ingest the videos with `--front-end log-mel-16000-400-160-v1`"):
        trunk(torch.zeros(1, 1, 257, 300))


def test_layouts_and_their_settings_belong_together() -> None:
    with pytest.raises(InputError, match=r"encoders\.image\.layout is yamnet, a trunk for sounds"):
        build_image_trunk(Encoder(layout="yamnet"))
    with pytest.raises(InputError, match=r"encoders\.audio\.layout is efficientnet_lite0, a trunk for images"):
        build_audio_trunk(Encoder(layout="efficientnet_lite0"))
    with pytest.raises(InputError, match="no ImageNet weights for layout yamnet"):
        build_audio_trunk(Encoder(layout="yamnet", weights="imagenet"))
    for shape in ({"blocks": (1, 1)}, {"input_pool": (2, 2)}):
        with pytest.raises(ValidationError, match="layout efficientnet_lite0 is fixed"):
            Encoder.model_validate({"layout": "efficientnet_lite0"} | shape)
    with pytest.raises(ValidationError, match="layout yamnet is fixed"):
        Encoder(layout="yamnet", last_stride=1)
    scaled = {"name": "x", "method": {"name": "lvs"}, "encoders": {"audio": {"layout": "yamnet"}}}
    with pytest.raises(ValidationError, match=r"layout yamnet needs data\.audio_mean 0 and data\.audio_deviation 12"):
        RunConfig.model_validate(scaled | {"data": {"audio_mean": 1.0}})


def test_a_projection_lets_trunks_of_two_widths_meet(lite: tuple[str, Classifier], yamnet: tuple[str, Yamnet]) -> None:
    image = Encoder(layout="efficientnet_lite0", weights=lite[0], frozen=True, projection=24)
    audio = Encoder(layout="yamnet", weights=yamnet[0], frozen=True, projection=24)
    method = Method(Config(), Encoders(image=image, audio=audio))
    prediction = method(torch.randn(2, 3, 64, 64), torch.randn(2, 1, 64, 100))
    assert prediction.map.shape == (2, 2, 2)
    assert (method.visual(torch.randn(1, 3, 64, 64)) >= 0).all()  # the family's features are not negative
    trained = {name for name, parameter in method.named_parameters() if parameter.requires_grad}
    assert trained == {
        f"{trunk}_trunk.projection.{kind}" for trunk in ("image", "audio") for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("kind", ["activation", "class_posterior"])
def test_the_object_prior_is_what_the_classifier_says_of_each_cell(lite: tuple[str, Classifier], kind: str) -> None:
    path, model = lite
    wanted = ObjectPrior.model_validate({"layout": "efficientnet_lite0", "weights": path, "kind": kind})
    prior = Prior(wanted.weights, architecture_of(wanted), wanted.kind)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        judged = model.judged_by(model(image))
        posterior = model.fc(judged.movedim(1, -1)).softmax(dim=-1).amax(dim=-1)
        expected = judged.mean(dim=1) if kind == "activation" else posterior
        assert torch.allclose(prior(image), expected, atol=1e-6)
    assert float(prior(image).min()) >= 0
