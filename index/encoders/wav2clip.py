"""Wav2CLIP (Wu et al., ICASSP 2022): sounds embedded where CLIP embeds images.

The "self-supervised" sound neighbours of cross-modal alignment, beside CLIP's for images. The released `Wav2CLIP.pt`
holds `audio_encoder.*`, the VGGSound classifier's trunk over a spectrogram of its own (Hann window of 512 samples, hop
353, at 16 kHz), and `audio_transform.*`, two linear layers into CLIP's 512 dimensions.

Deviation: the released code standardises the spectrograms of a batch together, here each clip alone, so that a clip's
vector does not depend on its neighbours in the batch. Clips are 10 s long as in its training, repeated when shorter.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from index.clips import waveform
from index.encoders.network import Network, fingerprint, needed
from index.encoders.torch_device import pick_device
from index.encoders.vggsound import audio_resnet
from index.encoders.weight_file import Layout, fitted, read_renamed

RATE, SECONDS = 16_000, 10.0
LAYOUT = Layout(
    "a Wav2CLIP checkpoint",
    "Give the released Wav2CLIP.pt.",
    None,
    (("audio_encoder.", "trunk."), ("audio_transform.sequential.", "head.")),
    (r"audio_encoder\.(fc|spectrogram)\.", r"image_"),  # its untrained classes, its window, the image side
)


def open_encoder(modality: str, name: str, weights: Path | None, device: str | None) -> Network:
    """512 entries. Needs waveforms of at least 16 kHz beside the shards."""
    path = needed(name, modality, weights, "the released Wav2CLIP.pt")
    model, target = Wav2Clip(), pick_device(device)
    model.load_state_dict(fitted(read_renamed(path, LAYOUT), model.state_dict(), path, LAYOUT))
    model = model.eval().requires_grad_(False).to(target)
    return Network(
        f"wav2clip-{fingerprint(path)}", target, lambda store, row: (waveform(store, row, RATE, SECONDS),), model
    )


class Wav2Clip(nn.Module):
    """Waveforms (B, T) at 16 kHz -> (B, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = audio_resnet()
        self.head = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, 512))

    def forward(self, samples: Tensor) -> Tensor:
        return self.head(self.trunk(_standardised_spectrogram(samples).unsqueeze(1)))


def _standardised_spectrogram(samples: Tensor) -> Tensor:
    """(B, T) -> (B, 257, frames): log power, mean 0 and deviation 1 per clip."""
    window = torch.hann_window(512, device=samples.device)
    power = torch.stft(samples, 512, 353, window=window, return_complex=True).abs() ** 2
    logarithm = torch.log(power + 1e-7)
    mean, deviation = logarithm.mean(dim=(1, 2), keepdim=True), logarithm.std(dim=(1, 2), keepdim=True)
    return (logarithm - mean) / (deviation + 1e-9)
