"""Pretrained encoders from tiny files of the real formats: what they compute, and which files they refuse."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import spectrogram
from torch import Tensor
from torchvision.models import resnet18, resnet50

from index.clips import image, resampled, waveform
from index.embeddings import Embeddings
from index.encoders import Encoder, open_encoder
from index.encoders.vggsound import audio_resnet, standardised_spectrogram
from manifests.errors import InputError
from pipeline.shards.store import ShardStore

IMAGENET_MEAN, IMAGENET_STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture
def store(make_shards: Callable[..., Path]) -> ShardStore:
    return ShardStore.open(make_shards(splits=["train"] * 2, audio_rate=16_000))


def lively(build: Callable[..., torch.nn.Module]) -> torch.nn.Module:
    """The same random weights at every call, and batch norm statistics that matter: a mix-up changes the output."""
    torch.manual_seed(0)
    module = build()
    for name, value in module.state_dict().items():
        if value.is_floating_point() and value.ndim <= 1:
            value.copy_(torch.rand_like(value) * 0.5 + (0.5 if name.endswith(("weight", "running_var")) else -0.25))
    return module.eval()


def vectors(encoder: Encoder, store: ShardStore) -> np.ndarray:
    done = []
    found = encoder.vectors(store, range(len(store)), done.append)
    assert sum(done) == len(store)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    alone = encoder.vectors(store, [1], lambda _: None)
    np.testing.assert_allclose(alone[0], found[1], atol=1e-4)  # whatever else is in the batch
    return found


def unit(features: Tensor) -> np.ndarray:
    return F.normalize(features, dim=1).numpy()


# --- images --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_resnet_features_are_those_before_the_classifier(store: ShardStore, tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    model, path = lively(resnet18), tmp_path / f"resnet18.{suffix}"
    (torch.save if suffix == "pth" else save_file)(model.state_dict(), path)
    found = vectors(open_encoder("image", "resnet18", path, "cpu"), store)
    frames = torch.stack([torch.from_numpy(np.array(image(store, row))) for row in range(2)])  # 256 x 256
    middle = (frames[:, 16:240, 16:240].float() / 255 - IMAGENET_MEAN) / IMAGENET_STD
    trunk = torch.nn.Sequential(*list(model.children())[:-1])
    with torch.no_grad():
        np.testing.assert_allclose(found, unit(trunk(middle.permute(0, 3, 1, 2)).flatten(1)), atol=1e-4)


def test_resnet_files_that_do_not_fit(tmp_path: Path) -> None:
    state = resnet18(weights=None).state_dict()
    refused = {
        "lacking": (
            {n: v for n, v in state.items() if n != "layer4.1.bn2.bias"},
            r"1 missing \(layer4\.1\.bn2\.bias\)",
        ),
        "more": (state | {"decoder.weight": torch.zeros(1)}, r"1 unexpected \(decoder\.weight\)"),
        "wider": (state | {"conv1.weight": torch.zeros(64, 1, 7, 7)}, r"conv1\.weight is \(64, 1, 7, 7\) there and"),
        "another": (resnet50(weights=None).state_dict(), r"is not a torchvision resnet18: .* unexpected .*conv3"),
        "list": ([1, 2], r"holds no tensors by name \(it holds a list\)"),
    }
    for name, (content, message) in refused.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(InputError, match=message):
            open_encoder("image", "resnet18", tmp_path / name, "cpu")


def test_damaged_weights_give_no_vectors(store: ShardStore, tmp_path: Path) -> None:
    state = resnet18(weights=None).state_dict()
    state["layer4.1.bn2.weight"] = torch.full((512,), 3e38)  # overflows
    torch.save(state, tmp_path / "resnet18.pth")
    encoder = open_encoder("image", "resnet18", tmp_path / "resnet18.pth", "cpu")
    with pytest.raises(InputError, match=r"resnet18-\w+ gave a vector that is not finite"):
        encoder.vectors(store, [0], lambda _: None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("bn1.running_var", -torch.ones(64)), ("bn1.weight", torch.full((64,), 1e300, dtype=torch.float64))],
)
def test_numbers_that_no_training_leaves_are_refused_by_name(name: str, value: Tensor, tmp_path: Path) -> None:
    torch.save(resnet18(weights=None).state_dict() | {name: value}, tmp_path / "resnet18.pth")
    with pytest.raises(InputError, match=rf"resnet18\.pth is whole, but 1 of its \d+ .* no training leaves \({name}\)"):
        open_encoder("image", "resnet18", tmp_path / "resnet18.pth", "cpu")


def test_weights_that_tell_no_clips_apart_are_refused(store: ShardStore, tmp_path: Path) -> None:
    state = {name: torch.zeros_like(value) for name, value in resnet18(weights=None).state_dict().items()}
    torch.save(state, tmp_path / "resnet18.pth")
    encoder = open_encoder("image", "resnet18", tmp_path / "resnet18.pth", "cpu")
    with pytest.raises(InputError, match=r"resnet18-\w+ gives all 2 clips the same vector, though they differ"):
        encoder.vectors(store, [0, 1], lambda _: None)
    assert len(encoder.vectors(store, [1, 1], lambda _: None)) == 2  # one image has one vector


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"conv1.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match=r"trap\.pth is not a file of plain torch tensors"):
        open_encoder("image", "resnet18", tmp_path / "trap.pth", "cpu")
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(InputError, match="there is no file of weights at"):
        open_encoder("image", "resnet18", tmp_path / "absent.pth", "cpu")


def test_imagenet_weights_that_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", _no_network)
    with pytest.raises(InputError, match=r"Put resnet18-\w+\.pth into .* or give a local copy with --image-weights"):
        open_encoder("image", "resnet18", None, "cpu")


def _no_network(*_: object, **__: object) -> None:
    raise OSError("no network")


# --- sounds ----------------------------------------------------------------------------------------------------------


def test_waveforms_are_cut_from_the_middle_or_repeated(store: ShardStore) -> None:
    kept = store.companions.waveform(0).samples
    assert len(kept) == 32_000
    np.testing.assert_array_equal(waveform(store, 0, 16_000, 1.0), kept[8_000:24_000])
    np.testing.assert_array_equal(waveform(store, 0, 16_000, 5.0), np.tile(kept, 3)[:80_000])
    halved = waveform(store, 0, 8_000, 2.0)  # 200 Hz survives the lower rate
    np.testing.assert_allclose(halved[2000:-2000], kept[::2][2000:-2000], atol=0.06)
    assert resampled(np.zeros(0, np.float32), 16_000, 8_000).size == 0


def test_shards_without_the_audio_an_encoder_needs(
    make_shards: Callable[..., Path], store: ShardStore, tmp_path: Path
) -> None:
    path = vggsound_file(tmp_path)
    silent = ShardStore.open(make_shards("silent", splits=["train"]))
    with pytest.raises(InputError, match=r"hold no context companion.*`--audio context`"):
        open_encoder("audio", "vggsound", path, "cpu").check(silent, 0)
    with pytest.raises(InputError, match=r"hears 48000 Hz.* have 16000 Hz.*`--audio context --audio-rate 48000`"):
        waveform(store, 0, 48_000, 1.0)


def test_vggsound_s_spectrogram_is_the_released_code_s() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 160_000).astype(np.float32)
    power = spectrogram(samples.astype(float), 16_000, nperseg=512, noverlap=353)[2]
    logarithm = np.log(power + 1e-7)
    found = standardised_spectrogram(samples)
    assert found.shape == (257, 1004)
    np.testing.assert_allclose(found, (logarithm - logarithm.mean()) / logarithm.std(), atol=1e-5)
    np.testing.assert_allclose(standardised_spectrogram(np.zeros(160_000, np.float32)), 0, atol=1e-3)  # silence


def vggsound_file(folder: Path, drop: str = "", prefix: str = "") -> Path:
    """A file as released: tensors under model_state_dict, named audnet.*, with the head of 309 classes."""
    model = lively(audio_resnet)
    model.fc = torch.nn.Linear(512, 309)
    state = {f"{prefix}audnet.{name}": value for name, value in model.state_dict().items() if name != drop}
    torch.save({"epoch": 3, "model_state_dict": state}, folder / "H.pth.tar")
    return folder / "H.pth.tar"


def test_vggsound_classifier(store: ShardStore, tmp_path: Path) -> None:
    encoder = open_encoder("audio", "vggsound", vggsound_file(tmp_path), "cpu")
    assert encoder.version.startswith("vggsound-")
    found = vectors(encoder, store)
    wrapped = open_encoder("audio", "vggsound", vggsound_file(tmp_path, prefix="module."), "cpu")
    np.testing.assert_array_equal(wrapped.vectors(store, [1], lambda _: None)[0], found[1])
    audio = np.stack([standardised_spectrogram(waveform(store, row, 16_000, 10.0)) for row in range(2)])
    model = lively(audio_resnet)
    with torch.no_grad():
        np.testing.assert_allclose(found, unit(model(torch.from_numpy(audio)[:, None])), atol=1e-4)


def test_other_files_are_no_vggsound_classifier(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vggsound needs --audio-weights: the released H\.pth\.tar"):
        open_encoder("audio", "vggsound", None, "cpu")
    with pytest.raises(InputError, match=r"1 missing \(bn1\.weight\)"):
        open_encoder("audio", "vggsound", vggsound_file(tmp_path, drop="bn1.weight"), "cpu")
    pooled = {f"audnet.{name}": value for name, value in audio_resnet().state_dict().items()}
    pooled |= {"audnet.avgpool.centroids": torch.zeros(16, 512), "audnet.fc_.weight": torch.zeros(309, 8192)}
    torch.save({"model_state_dict": pooled}, tmp_path / "netvlad.pth.tar")
    with pytest.raises(InputError, match=r"2 unexpected \(avgpool\.centroids, fc_\.weight\)"):
        open_encoder("audio", "vggsound", tmp_path / "netvlad.pth.tar", "cpu")
    torch.save({"state_dict": pooled}, tmp_path / "other.pth.tar")
    with pytest.raises(InputError, match=r"2 unexpected \(avgpool"):
        open_encoder("audio", "vggsound", tmp_path / "other.pth.tar", "cpu")


def test_wav2clip(store: ShardStore, tmp_path: Path) -> None:
    """Against the released forward, a clip at a time: its spectrogram is torchaudio's, n_fft 512 and hop 353."""
    from torchaudio.transforms import Spectrogram

    trunk, head = lively(audio_resnet), torch.nn.Sequential(
        torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Identity(), torch.nn.Linear(512, 512)
    )  # fmt: skip
    state = {f"audio_encoder.{name}": value for name, value in trunk.state_dict().items()}
    state |= {f"audio_transform.sequential.{name}": value for name, value in head.state_dict().items()}
    state |= {"audio_encoder.fc.bias": torch.zeros(1000), "audio_encoder.spectrogram.window": torch.hann_window(512)}
    torch.save(state, tmp_path / "Wav2CLIP.pt")
    found = vectors(open_encoder("audio", "wav2clip", tmp_path / "Wav2CLIP.pt", "cpu"), store)
    for row in range(2):
        power = Spectrogram(n_fft=512, hop_length=353)(torch.from_numpy(waveform(store, row, 16_000, 10.0)))
        logarithm = torch.log(power + 1e-7)
        audio = ((logarithm - logarithm.mean()) / (logarithm.std() + 1e-9))[None, None]
        with torch.no_grad():
            np.testing.assert_allclose(found[row : row + 1], unit(head(trunk(audio))), atol=1e-4)
    del state["audio_transform.sequential.3.bias"]
    torch.save(state, tmp_path / "Wav2CLIP.pt")
    with pytest.raises(InputError, match=r"not a Wav2CLIP checkpoint: 1 missing \(head\.3\.bias\)"):
        open_encoder("audio", "wav2clip", tmp_path / "Wav2CLIP.pt", "cpu")


# --- the command -----------------------------------------------------------------------------------------------------


def test_embed_with_two_networks(run: Callable[..., str], make_shards: Callable[..., Path], tmp_path: Path) -> None:
    make_shards(splits=["train"] * 2 + ["test"], audio_rate=16_000)
    torch.save(resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    vggsound_file(tmp_path)
    images = ("--image-encoder", "resnet18", "--image-weights", "resnet18.pth")
    audio = ("--audio-encoder", "vggsound", "--audio-weights", "H.pth.tar")
    assert "2 of 3 in the shards" in run("embed", *images, *audio, "--device", "cpu")
    embeddings = Embeddings.open("embeddings")
    assert embeddings.meta["dimension"] == {"image": 512, "audio": 512}
    assert "nothing to do" in run("embed", *images, *audio, "--device", "cpu")
    output = run("embed", *images, "--device", "cpu")
    assert "rebuilding embeddings: encoder" in output
    assert Embeddings.open("embeddings").meta["encoder"].endswith("(image), descriptor-v1 (audio)")
