"""The VGGSound classifier of Chen et al. (ICASSP 2020): a ResNet-18 on sound, pooled features before its classes.

The "supervised" sound neighbours of cross-modal alignment. The released `H.pth.tar` (average pool) holds the tensors
under `model_state_dict`, named `audnet.*`; the NetVLAD release is another network and is refused. Input as its code
makes it: 10 s at 16 kHz, repeated when shorter, scipy's log spectrogram (512 samples, hop 159, 257 x 1004), each clip
brought to mean 0 and deviation 1.
"""

from pathlib import Path

import numpy as np
from torch import nn
from torchvision.models import resnet18

from index.clips import waveform
from index.encoders.network import Network, fingerprint, needed
from index.encoders.torch_device import pick_device
from index.encoders.weight_file import Layout, fitted, read_renamed
from pipeline.shards.store import ShardStore

RATE, SECONDS = 16_000, 10.0
LAYOUT = Layout(
    "the average-pooling VGGSound classifier",
    "Give the released H.pth.tar.",
    "model_state_dict",
    (("audnet.", ""),),
    (r"audnet\.fc\.",),
)


def open_encoder(modality: str, name: str, weights: Path | None, device: str | None) -> Network:
    """512 entries, not negative. Needs waveforms of at least 16 kHz beside the shards."""
    path = needed(name, modality, weights, "the released H.pth.tar")
    model, target = audio_resnet(), pick_device(device)
    model.load_state_dict(fitted(read_renamed(path, LAYOUT), model.state_dict(), path, LAYOUT))
    return Network(f"vggsound-{fingerprint(path)}", target, _read, model.eval().requires_grad_(False).to(target))


def audio_resnet() -> nn.Module:
    """ResNet-18 over one channel, without classifier: (B, 1, F, T) -> (B, 512), average pooled."""
    model = resnet18(weights=None)
    model.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    model.fc = nn.Identity()  # pyrefly: ignore[bad-assignment]  # a Linear before: this is how torchvision is beheaded
    return model


def _read(store: ShardStore, row: int) -> tuple[np.ndarray]:
    return (standardised_spectrogram(waveform(store, row, RATE, SECONDS))[np.newaxis],)


def standardised_spectrogram(samples: np.ndarray) -> np.ndarray:
    """float32 (T,) at 16 kHz -> float32 (257, frames): log power density, mean 0, deviation 1 (0 for silence)."""
    from scipy.signal import spectrogram

    power = spectrogram(samples.astype(np.float64), RATE, nperseg=512, noverlap=353)[2]
    logarithm = np.log(power + 1e-7)
    return ((logarithm - logarithm.mean()) / (logarithm.std() + 1e-9)).astype(np.float32)
