"""VGGish as a sound trunk, with the log-mel patches it was trained on.

SSPL's sound trunk (frozen, AudioSet weights in the layout of `torchvggish`). VGGish listens to 0.96 s patches of 64
log-mel bands between 125 and 7500 Hz, made from 16 kHz sound. There are two ways to them:
- a front end that stores these 64 bands, divided by 12 like every front end (`data.audio_mean` and `audio_deviation`
  stay at their defaults);
- `log_mel_of_power(spectrogram)`, derived from the log power that every shard holds. Deviations: the shards' default
  front end ends at 5512 Hz, so the upper seven bands are silent or nearly; its window is 46 ms, not 25; sound below the
  front end's floor is lost; amplitudes agree on average for noise, not for each tone.
"""

from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from manifests.errors import InputError
from pipeline.media.front_ends import find_front_end, front_end_names
from pipeline.media.log_mel import BANDS, mel_triangles
from pipeline.media.log_power import LogPower
from training.encoders.kept import hands_on_features
from training.similarity import einsum

SAMPLE_RATE, WINDOW, HOP, N_FFT = 16000, 400, 160, 512
OFFSET = 0.01  # added before the logarithm; silence is ln 0.01 = -4.605
PATCH = 96  # columns of 10 ms
LOG_POWER_SCALE = 12.0  # undoes `data.audio_deviation` (with `data.audio_mean` 0), as a run's config makes sure
FLOOR_MARGIN = 1.01  # float16 stores ln(floor) up to 0.8 % off; without a margin silence would sound


class Vggish(nn.Module):
    """(B, 1, F, T) normalised log power, or VGGish's own 64 bands -> (B, 128), not negative: mean over patches."""

    dimension = 128

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_convolutions((64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool")))
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 128), nn.ReLU()
        )

    @hands_on_features
    def forward(self, audio: Tensor) -> Tensor:
        return self.per_patch(audio).mean(dim=1)

    @hands_on_features
    def cells(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> (B, 128, 1, P): the patches as the cells of a sound."""
        return self.per_patch(audio).transpose(1, 2).unsqueeze(2)

    def per_patch(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> (B, P, 128): one vector per 0.96 s. InputError for a spectrogram VGGish cannot use."""
        spectrogram = audio.squeeze(1) * LOG_POWER_SCALE
        log_mel_bands = spectrogram if spectrogram.shape[1] == BANDS else log_mel_of_power(spectrogram)
        heard = patches(log_mel_bands)
        features = self.features(heard.flatten(0, 1).unsqueeze(1))
        flat = features.permute(0, 2, 3, 1).flatten(1)  # time, band, channel: the order of the original's weights
        return self.embeddings(flat).unflatten(0, heard.shape[:2])


def _convolutions(plan: tuple[int | Literal["pool"], ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 1
    for step in plan:
        if isinstance(step, int):
            layers += [nn.Conv2d(channels, step, 3, padding=1), nn.ReLU()]
            channels = step
        else:
            layers.append(nn.MaxPool2d(2))
    return layers


def patches(log_mel_bands: Tensor) -> Tensor:
    """Whole patches one after the other: (B, 64, T) -> (B, T // 96, 96, 64). InputError when T < 96."""
    count = log_mel_bands.shape[2] // PATCH
    if count == 0:
        raise InputError(
            f"VGGish hears patches of {PATCH} columns of 10 ms, and the sound given to it has "
            f"{log_mel_bands.shape[2]}. Use a front end of at least one second; where a method hears parts of a clip's "
            "sound, give it longer ones: `method.sound_seconds: 1`."
        )
    return log_mel_bands[..., : count * PATCH].unflatten(2, (count, PATCH)).permute(0, 2, 3, 1)


def log_mel_of_power(spectrogram: Tensor) -> Tensor:
    """Log power of a known front end, (B, F, T), to VGGish's bands, (B, 64, T). InputError for other shapes.

    With P the one-sided power density, a 16 kHz Hann frame of the same noise has E|X|^2 = P / 2 * 16000 * sum(w^2);
    sums over bins are scaled to VGGish's spacing of 31.25 Hz. Bands above the Nyquist frequency are silent.
    """
    front_end = _front_end_of(spectrogram.shape[1], spectrogram.shape[2])
    power = (spectrogram.float().exp() - FLOOR_MARGIN * front_end.floor).clamp(min=0)
    magnitude = (power * (SAMPLE_RATE * WINDOW * 3 / 8 / 2)).sqrt()  # a periodic Hann window's sum of squares is 3/8 N
    spacing = (front_end.sample_rate / front_end.n_fft) / (SAMPLE_RATE / N_FFT)
    filters = _mel_filters(front_end.shape[0], front_end.sample_rate).to(spectrogram.device)
    return torch.log(spacing * einsum("mf,bft->bmt", filters, magnitude) + OFFSET)


def _front_end_of(bins: int, frames: int) -> LogPower:
    """The front end that makes this shape in steps of about 10 ms."""
    known = [find_front_end(name) for name in front_end_names()]
    powers = [front_end for front_end in known if isinstance(front_end, LogPower)]
    usable = {f.shape: f for f in powers if abs(f.hop / f.sample_rate - HOP / SAMPLE_RATE) < 2e-4}
    if (bins, frames) not in usable:
        names = ", ".join(f"{front_end.name} {shape}" for shape, front_end in usable.items())
        raise InputError(
            f"VGGish needs steps of 10 ms: a spectrogram of shape {(bins, frames)} comes from none of {names}, nor has "
            f"it the {BANDS} bands of VGGish's own front end. Ingest the videos again with one of these front ends."
        )
    return usable[bins, frames]


@cache
def _mel_filters(bins: int, sample_rate: int) -> Tensor:
    """(64, bins)."""
    return torch.from_numpy(mel_triangles(bins, sample_rate))
