"""VGG-16 and VGGish layouts, their weights, and VGGish's bands from the log power of the shards."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.signal import resample
from torchvision.models.vgg import cfgs, make_layers

from manifests.errors import InputError
from pipeline.media.front_ends import find_front_end
from pipeline.media.log_mel import LogMel
from training.config import Encoder, Encoders
from training.encoders.vgg import Vgg16
from training.encoders.vggish import Vggish, log_mel_of_power, patches
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.sspl import Config, Method

SILENT = math.log(0.01)
VGGISH = LogMel(name="vggish", sample_rate=16000, hop=160, offset=0.01)


@pytest.fixture(scope="module")
def vggish() -> Vggish:
    torch.manual_seed(0)
    return Vggish().eval()


def test_vgg16_is_torchvision_s_up_to_conv5_3_before_its_relu() -> None:
    torch.manual_seed(0)
    theirs = make_layers(cfgs["D"])
    mine = Vgg16()
    mine.features.load_state_dict({k: v for k, v in theirs.state_dict().items() if int(k.split(".")[0]) < 29})
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        features = mine(image)
        assert features.shape == (1, 512, 2, 2)
        rest = theirs[30](theirs[29](features.clone()))  # the ReLU and the pool that are left
        assert torch.allclose(rest, theirs(image), atol=1e-6)
    assert float(features.min()) < 0
    assert isinstance(theirs[29], torch.nn.ReLU)
    assert {name.split(".")[0] for name in mine.state_dict()} == {"features"}


def test_vgg16_weights_come_from_a_torchvision_state_dict(tmp_path) -> None:
    torch.manual_seed(0)
    state = {f"features.{name}": value for name, value in make_layers(cfgs["D"]).state_dict().items()}
    save_file({**state, "classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "vgg.safetensors")
    trunk = build_image_trunk(Encoder(layout="vgg16", weights=str(tmp_path / "vgg.safetensors"), frozen=True))
    assert torch.equal(trunk.features[28].weight, state["features.28.weight"])
    assert not any(p.requires_grad for p in trunk.parameters())
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="lack 25 of the trunk's 26 tensors"):
        build_image_trunk(Encoder(layout="vgg16", weights=str(tmp_path / "other.safetensors")))


def test_layouts_stand_where_they_belong() -> None:
    with pytest.raises(InputError, match="a trunk for sounds"):
        build_image_trunk(Encoder(layout="vggish"))
    with pytest.raises(InputError, match="a trunk for images"):
        build_audio_trunk(Encoder(layout="vgg16"))
    with pytest.raises(InputError, match="no ImageNet weights for layout vggish"):
        build_audio_trunk(Encoder(layout="vggish", weights="imagenet"))
    with pytest.raises(ValueError, match="belong to resnet"):
        Encoder(layout="vgg16", last_stride=1)


def test_vggish_has_torchvggish_s_names_and_sizes(vggish: Vggish) -> None:
    shapes = {name: tuple(value.shape) for name, value in vggish.state_dict().items()}
    assert {name: shape for name, shape in shapes.items() if name.endswith("weight")} == {
        "features.0.weight": (64, 1, 3, 3),
        "features.3.weight": (128, 64, 3, 3),
        "features.6.weight": (256, 128, 3, 3),
        "features.8.weight": (256, 256, 3, 3),
        "features.11.weight": (512, 256, 3, 3),
        "features.13.weight": (512, 512, 3, 3),
        "embeddings.0.weight": (4096, 12288),
        "embeddings.2.weight": (4096, 4096),
        "embeddings.4.weight": (128, 4096),
    }


def test_vggish_hears_three_patches_in_three_seconds_and_flattens_channels_last(vggish: Vggish) -> None:
    bands = torch.randn(1, 64, 300, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        heard = vggish.per_patch(bands.unsqueeze(1) / 12)
        second = bands[0, :, 96:192].T.reshape(1, 1, 96, 64)
        features = vggish.features(second)[0]
        flat = torch.stack([features[c, t, f] for t in range(6) for f in range(4) for c in range(512)])
        expected = vggish.embeddings(flat)
        assert heard.shape == (1, 3, 128)
        assert torch.allclose(heard[0, 1], expected, atol=1e-5)
        assert torch.allclose(vggish(bands.unsqueeze(1) / 12), heard.mean(dim=1))
    assert float(heard.min()) == 0.0  # the last ReLU is part of VGGish


def test_patches_are_whole_and_in_order() -> None:
    bands = torch.arange(64 * 200.0).view(1, 64, 200)
    cut = patches(bands)
    assert cut.shape == (1, 2, 96, 64)
    assert torch.equal(cut[0, 1, 5], bands[0, :, 96 + 5])
    with pytest.raises(InputError, match="at least one second"):
        patches(bands[..., :95])


@pytest.mark.parametrize("name", ["log-power-11025-512-110-v1", "log-power-16000-512-159-v1"])
def test_derived_bands_agree_with_the_exact_ones_where_the_shards_hold_them(name: str) -> None:
    """Band-limited noise of falling level: the same sound at both rates, compared band by band."""
    front_end = find_front_end(name)
    noise = np.random.default_rng(0).normal(0, 0.3, 3 * 11025)
    shaped = np.convolve(noise, [1.0, 0.6, 0.3], mode="same")
    low, high = (resample(shaped, 3 * rate).astype(np.float32) for rate in (front_end.sample_rate, 16000))
    exact = torch.from_numpy(VGGISH.compute(high)).mean(dim=0)
    stored = torch.from_numpy(front_end.spectrogram(low)).unsqueeze(0)
    derived = log_mel_of_power(stored)[0].mean(dim=1)
    held = 53  # bands whose triangle ends below 5 kHz, where resampling has not begun to cut
    difference = (derived - exact)[:held].abs()
    assert float(difference.mean()) < 0.1
    assert float(difference.max()) < 0.35  # the lowest bands are as narrow as the bins, which lie elsewhere
    if front_end.sample_rate == 11025:
        assert torch.allclose(derived[58:], torch.full((6,), SILENT))  # beyond 5512 Hz


def test_derived_silence_is_vggish_s_silence() -> None:
    front_end = find_front_end("log-power-11025-512-110-v1")
    stored = torch.from_numpy(front_end.spectrogram(np.zeros(front_end.samples, np.float32))).unsqueeze(0)
    bands = log_mel_of_power(stored)
    assert torch.allclose(bands, torch.full_like(bands, SILENT))


def test_a_spectrogram_vggish_cannot_use_is_refused(vggish: Vggish) -> None:
    with pytest.raises(InputError, match=r"shape \(257, 200\) comes from none of .*11025"):
        log_mel_of_power(torch.zeros(1, 257, 200))  # a known front end, in steps of 15 ms
    with pytest.raises(InputError, match="64 bands of VGGish's own"):
        vggish(torch.zeros(1, 1, 129, 150))


@pytest.mark.slow
def test_sspl_of_paper_size() -> None:
    paper = Encoders(image=Encoder(layout="vgg16", frozen=True), audio=Encoder(layout="vggish", frozen=True))
    method = Method(Config(), paper).eval()
    with torch.no_grad():
        prediction = method(torch.zeros(1, 3, 224, 224), torch.zeros(1, 1, 257, 300))
    assert prediction.map.shape == (1, 14, 14)
    assert prediction.audio_embedding.shape == (1, 512)
