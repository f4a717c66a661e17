"""YAMNet layer by layer against plain arithmetic, and on real recordings where its weights are at hand."""

import csv
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from places import SHARED, needed

from index.encoders import open_encoder
from index.encoders.yamnet import FRONT_END, Yamnet, patches
from manifests.errors import InputError
from pipeline.media.front_ends import find_front_end
from pipeline.shards.store import ShardStore

REAL = SHARED / "data" / "real"
STRIDED = (0, 3, 7, 11, 23)  # of the 27 convolutions, those that halve


@pytest.fixture(scope="module")
def yamnet() -> Yamnet:
    torch.manual_seed(0)
    model = Yamnet()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=(2 / max(1, parameter[0].numel())) ** 0.5 if parameter.ndim > 1 else 0.05)
    return model.eval()


def plainly(state: dict[str, torch.Tensor], patch: torch.Tensor) -> torch.Tensor:
    """(B, 1, 96, 64) -> (B, 521), as the description of the file says it, without any class of ours."""
    x = patch
    for number in range(27):
        weight, stride = state[f"convs.{number}.weight"], 2 if number in STRIDED else 1
        reach = weight.shape[-1] - 1
        zeros = [max((-(-size // stride) - 1) * stride + reach + 1 - size, 0) for size in (x.shape[3], x.shape[2])]
        x = F.pad(x, (zeros[0] // 2, zeros[0] - zeros[0] // 2, zeros[1] // 2, zeros[1] - zeros[1] // 2))
        depthwise = number > 0 and weight.shape[1] == 1
        groups = x.shape[1] if depthwise else 1
        x = F.relu(F.conv2d(x, weight, state[f"convs.{number}.bias"], stride, groups=groups))
    assert x.shape[1:] == (1024, 3, 2)
    return torch.sigmoid(x.mean(dim=(2, 3)) @ state["fc.weight"].T + state["fc.bias"])


def test_scores_are_those_of_the_description(yamnet: Yamnet) -> None:
    patch = torch.randn(2, 1, 96, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(yamnet.scores(patch), plainly(yamnet.state_dict(), patch), atol=1e-5)


def test_a_clip_is_the_mean_of_patches_every_half_second(yamnet: Yamnet) -> None:
    bands = torch.randn(1, 64, 298, generator=torch.Generator().manual_seed(0))
    cut = patches(bands)
    assert cut.shape == (1, 5, 1, 96, 64)
    assert torch.equal(cut[0, 2, 0], bands[0, :, 96:192].T)
    with torch.no_grad():
        each = yamnet.features(cut[0]).mean(dim=(2, 3))
        assert torch.allclose(yamnet(bands)[0], each.mean(dim=0), atol=1e-5)
    ingest_again = f"Ingest the videos with `--front-end {FRONT_END}`"
    for shape, words in {(1, 64, 95): "method.sound_seconds: 1", (1, 257, 300): ingest_again}.items():
        with pytest.raises(InputError, match=words):
            patches(torch.zeros(shape))


def test_it_hears_the_companion_waveform_or_its_own_front_end(
    yamnet: Yamnet, make_shards: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "yamnet.pth"
    torch.save(yamnet.state_dict(), path)
    store = ShardStore.open(make_shards(splits=["train"] * 2, audio_rate=16_000))
    found = open_encoder("audio", "yamnet", path, "cpu").vectors(store, range(2), lambda _: None)
    front_end = find_front_end(FRONT_END)
    kept = store.companions.waveform(1).samples
    start = max(0, (len(kept) - front_end.samples) // 2)
    heard = np.resize(kept[start : start + front_end.samples], front_end.samples)
    bands = torch.from_numpy(front_end.spectrogram(heard).astype(np.float32))
    with torch.no_grad():
        np.testing.assert_allclose(found[1], F.normalize(yamnet(bands[None]), dim=1)[0], atol=1e-5)


def test_files_that_are_no_yamnet(yamnet: Yamnet, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({name: value for name, value in yamnet.state_dict().items() if "convs.26" not in name}, path)
    with pytest.raises(InputError, match=r"is not a YAMNet: 2 missing \(convs\.26\.bias, convs\.26\.weight\)"):
        open_encoder("audio", "yamnet", path)
    with pytest.raises(InputError, match="needs --audio-weights: a state dict of YAMNet"):
        open_encoder("audio", "yamnet")


# --- the real weights -------------------------------------------------------------------------------------------------

HEARD = {"dog": "Dog", "cow": "Moo", "chainsaw": "Chainsaw", "bird": "Bird", "trumpet": "Music"}


@pytest.fixture(scope="module")
def released() -> Yamnet:
    model = Yamnet()
    model.load_state_dict(torch.load(needed(REAL / "weights" / "yamnet_torch.pth"), weights_only=True))
    return model.eval()


def recording(path: Path) -> np.ndarray:
    """Three seconds at 16 kHz, repeated when shorter."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    with av.open(str(path)) as opened:
        heard = [part.to_ndarray().ravel() for frame in opened.decode(audio=0) for part in resampler.resample(frame)]
    return np.resize(np.concatenate(heard), 48_000).astype(np.float32)


@pytest.mark.parametrize(("label", "name"), HEARD.items())
def test_real_recordings_are_heard_as_what_they_are(released: Yamnet, label: str, name: str) -> None:
    """Of the first eight recordings of a class at least five have the class among the five best of 521."""
    classes = [row["display_name"] for row in csv.DictReader((REAL / "weights" / "yamnet_class_map.csv").open())]
    files = sorted((REAL / label / "audio").glob("*.ogg"))[:8]
    bands = np.stack([find_front_end(FRONT_END).spectrogram(recording(file)) for file in files]).astype(np.float32)
    with torch.no_grad():
        scores = released.scores(patches(torch.from_numpy(bands)).flatten(0, 1)).unflatten(0, (len(files), -1))
    best = scores.amax(dim=1).topk(5).indices
    assert sum(classes.index(name) in row for row in best.tolist()) >= 5
