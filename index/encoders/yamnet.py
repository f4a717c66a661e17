"""YAMNet (Plakal and Ellis, 2019): a MobileNet-v1 over sounds, trained on the 521 classes of AudioSet.

It hears patches of 0.96 s (96 columns of 64 log mel bands, `log-mel-16000-400-160-v1`), a new one every 0.48 s. A
clip's vector is the mean of its patches' features, 1024 entries, not negative. Weights: a state dict of the network
with its batch norms folded into the convolutions, `convs.0` to `convs.26` and `fc`; "same" padding as in TensorFlow.

Three seconds around the moment are heard: the shards' own spectrograms where they have that front end, else the
waveform that `pipeline ingest --audio context` keeps beside the shards.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from index.clips import waveform
from index.encoders.network import Network, fingerprint, needed
from index.encoders.same_convolution import SameConvolution
from index.encoders.torch_device import pick_device
from index.encoders.weight_file import Layout, fitted, read_renamed
from manifests.errors import InputError
from pipeline.media.front_ends import find_front_end
from pipeline.shards.store import ShardStore

FRONT_END = "log-mel-16000-400-160-v1"
PATCH, STEP = 96, 48  # columns of 10 ms
CLASSES = 521
# channels and stride of the pairs (3 x 3 depthwise, 1 x 1) that follow the first convolution
PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
LAYOUT = Layout(
    "a YAMNet",
    "Give a state dict of its 27 convolutions with their batch norms folded in, convs.N.weight and convs.N.bias, and "
    "of fc.",
    None,
    (("", ""),),
)


class Yamnet(nn.Module):
    """Log mel bands (B, 64, T) -> (B, 1024), not negative: the mean over patches. InputError for T < 96."""

    dimension = PAIRS[-1][0]

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([SameConvolution(1, 32, 3, 2)])
        channels = 32
        for wider, stride in PAIRS:
            self.convs += [
                SameConvolution(channels, channels, 3, stride, channels),
                SameConvolution(channels, wider, 1),
            ]
            channels = wider
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, audio: Tensor) -> Tensor:
        heard = patches(audio)
        return self.features(heard.flatten(0, 1)).mean(dim=(2, 3)).unflatten(0, heard.shape[:2]).mean(dim=1)

    def features(self, patch: Tensor) -> Tensor:
        """(B, 1, 96, 64), time before frequency -> (B, 1024, 3, 2)."""
        for convolution in self.convs:
            patch = torch.relu(convolution(patch))
        return patch

    def scores(self, patch: Tensor) -> Tensor:
        """(B, 1, 96, 64) -> (B, 521) in [0, 1]: whether each class is heard."""
        return torch.sigmoid(self.fc(self.features(patch).mean(dim=(2, 3))))


def patches(bands: Tensor) -> Tensor:
    """Overlapping patches: (B, 64, T) -> (B, P, 1, 96, 64). InputError when there is not even one."""
    if bands.shape[1] != find_front_end(FRONT_END).shape[0]:
        raise InputError(
            f"YAMNet hears the 64 bands of the front end {FRONT_END}; a spectrogram of shape {tuple(bands.shape[1:])} "
            f"is none of it. Ingest the videos with `--front-end {FRONT_END}`."
        )
    if bands.shape[2] < PATCH:
        raise InputError(
            f"YAMNet hears patches of {PATCH} columns of 10 ms, and the sound given to it has {bands.shape[2]}. Where "
            "a method hears parts of a clip's sound, give it longer ones: `method.sound_seconds: 1`."
        )
    return bands.unfold(2, PATCH, STEP).permute(0, 2, 3, 1).unsqueeze(2)


def open_encoder(modality: str, name: str, weights: Path | None, device: str | None) -> Network:
    """1024 entries, not negative. Needs the front end of YAMNet, or waveforms of at least 16 kHz beside the shards."""
    path = needed(name, modality, weights, "a state dict of YAMNet, its batch norms folded in")
    model, target = Yamnet(), pick_device(device)
    model.load_state_dict(fitted(read_renamed(path, LAYOUT), model.state_dict(), path, LAYOUT))
    return Network(f"yamnet-{fingerprint(path)}", target, _read, model.eval().requires_grad_(False).to(target))


def _read(store: ShardStore, row: int) -> tuple[np.ndarray]:
    """What the network hears of a clip, float32 (64, 298)."""
    if store.front_end == FRONT_END:
        return (store.spectrogram(row).astype(np.float32),)
    front_end = find_front_end(FRONT_END)
    heard = waveform(store, row, front_end.sample_rate, front_end.seconds)
    return (front_end.spectrogram(heard).astype(np.float32),)
