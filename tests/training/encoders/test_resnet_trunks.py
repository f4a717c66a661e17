"""The residual trunks against torchvision's ResNet-18, the family's initialisation, weights from a file, freezing."""

import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18

from manifests.errors import InputError
from training.config import Encoder
from training.encoders.resnet import AudioTrunk, ImageTrunk, initialise
from training.encoders.weights import build_audio_trunk, build_image_trunk

SMALL = {"blocks": (1, 1, 1, 1), "width": 8}


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    torch.manual_seed(0)
    return resnet18().eval()


def torchvision_features(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    x = network.maxpool(network.relu(network.bn1(network.conv1(image))))
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        x = stage(x)
    return x


@pytest.mark.parametrize(("last_stride", "cells"), [(2, 2), (1, 4)])
def test_image_trunk_is_torchvision_s_with_stage_4_at_either_stride(theirs, tmp_path, last_stride, cells) -> None:
    save_file(theirs.state_dict(), tmp_path / "resnet18.safetensors")
    weights = str(tmp_path / "resnet18.safetensors")
    mine = build_image_trunk(Encoder(last_stride=last_stride, weights=weights)).eval()
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    strides = theirs.layer4[0].conv1.stride, theirs.layer4[0].downsample[0].stride
    theirs.layer4[0].conv1.stride = theirs.layer4[0].downsample[0].stride = (last_stride, last_stride)
    with torch.no_grad():
        features = mine(image)
        expected = torchvision_features(theirs, image)
    theirs.layer4[0].conv1.stride, theirs.layer4[0].downsample[0].stride = strides
    assert features.shape == (1, 512, cells, cells)
    assert torch.allclose(features, expected, atol=1e-5)
    assert float(features.min()) >= 0  # post-ReLU: cosines of such features lie in [0, 1]


def test_audio_trunk_has_a_one_channel_stem_and_ends_in_a_global_maximum() -> None:
    torch.manual_seed(0)
    trunk = AudioTrunk(Encoder(**SMALL, last_stride=1)).eval()
    assert trunk.conv1.weight.shape == (8, 1, 7, 7)
    assert (trunk.conv1.stride, trunk.conv1.bias) == ((2, 2), None)
    audio = torch.randn(2, 1, 257, 200)
    with torch.no_grad():
        maps = super(AudioTrunk, trunk).forward(audio)
        assert maps.shape == (2, 64, 17, 13)  # the sheet's sizes at stride 16
        assert torch.equal(trunk(audio), maps.flatten(2).max(dim=2).values)


def test_sizes_are_rounded_up_at_each_halving() -> None:
    trunk = ImageTrunk(Encoder(**SMALL)).eval()
    with torch.no_grad():
        assert trunk(torch.zeros(1, 3, 257, 299)).shape == (1, 64, 9, 10)
        assert ImageTrunk(Encoder(blocks=(1, 1), width=8))(torch.zeros(2, 3, 64, 64)).shape == (2, 16, 8, 8)


def test_an_input_smaller_than_the_pool_before_the_trunk_is_refused() -> None:
    trunk = AudioTrunk(Encoder(blocks=(1, 1), width=8, input_pool=(4, 3))).eval()
    assert trunk(torch.zeros(1, 1, 4, 3)).shape == (1, 16)
    for shape in ((4, 2), (3, 9)):
        with pytest.raises(InputError, match=rf"pools 4 x 3 values.*was given {shape[0]} x {shape[1]}\. Lower"):
            trunk(torch.zeros(1, 1, *shape))


def test_the_family_s_initialisation() -> None:
    torch.manual_seed(0)
    module = nn.ModuleList([nn.Conv2d(32, 64, 3), nn.BatchNorm2d(4000), nn.Linear(300, 300)])
    bias = module[2].bias.clone()
    initialise(module)
    convolution, norm, linear = module
    assert float(convolution.weight.std()) == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.03)  # fan out
    assert float(norm.weight.mean()) == pytest.approx(1.0, abs=0.002)
    assert float(norm.weight.std()) == pytest.approx(0.02, rel=0.05)
    assert not norm.bias.any()
    assert float(linear.weight.std()) == pytest.approx(0.01, rel=0.03)
    assert torch.equal(linear.bias, bias)  # torch's own


def test_weights_of_another_architecture_are_refused(tmp_path) -> None:
    save_file(ImageTrunk(Encoder(**SMALL)).state_dict(), tmp_path / "small.safetensors")
    weights = str(tmp_path / "small.safetensors")
    with pytest.raises(InputError, match=r"lack .* first layer1\.1\."):
        build_image_trunk(Encoder(blocks=(2, 2, 2, 2), width=8, weights=weights))
    with pytest.raises(InputError, match="do not fit the trunk"):
        build_image_trunk(Encoder(blocks=(1, 1, 1, 1), width=16, weights=weights))
    with pytest.raises(InputError, match="do not fit the trunk: conv1"):
        build_audio_trunk(Encoder(**SMALL, weights=weights))  # three channels


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_trunk_keeps_weights_and_statistics_in_training(frozen: bool) -> None:
    torch.manual_seed(0)
    parent = nn.Sequential(build_image_trunk(Encoder(**SMALL, weights="none", frozen=frozen))).train()
    before = {name: value.clone() for name, value in parent.state_dict().items()}
    parent(torch.randn(2, 3, 64, 64))
    same = all(torch.equal(value, before[name]) for name, value in parent.state_dict().items())
    assert same == frozen
    assert all(parameter.requires_grad != frozen for parameter in parent.parameters())
