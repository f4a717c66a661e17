"""Spectra of mixed sounds, the masks that take them apart, and the way back to waveforms. Pure functions, in float32.

Letters: B sounds, N samples, F = 512 frequencies and T times of a short-time Fourier transform, R = 256 rows of a
logarithmic frequency axis, as PixelPlayer's released code has them.
"""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from training.similarity import einsum

SIZE, HOP = 1022, 256  # samples of a window, and between two
FREQUENCIES, ROWS = SIZE // 2 + 1, 256
BASE = 21.0  # of the logarithmic axis
SMALLEST = 1e-12
WEIGHTS = 1e-3, 10.0  # least and greatest of a bin


def spectrum(waveform: Tensor) -> Tensor:
    """(B, N) -> complex (B, F, T)."""
    window = torch.hann_window(SIZE, device=waveform.device)
    return torch.stft(waveform.float(), SIZE, HOP, window=window, return_complex=True)


def sound_of(spectra: Tensor, samples: int) -> Tensor:
    """(B, F, T) -> (B, N): the inverse of `spectrum`, silent where the times end before."""
    window, length = torch.hann_window(SIZE, device=spectra.device), (spectra.shape[-1] - 1) * HOP
    sound = torch.istft(spectra, SIZE, HOP, window=window, length=min(samples, length))
    return F.pad(sound, (0, samples - sound.shape[1]))


def warped(magnitudes: Tensor) -> Tensor:
    """Linear to logarithmic frequencies: (B, F, T) -> (B, R, T)."""
    low, share = _places(FREQUENCIES, ROWS, False, magnitudes.device)
    below, above = (magnitudes.float()[..., each, :] for each in (low, low + 1))
    return below + (above - below) * share.unsqueeze(1)


def unwarped(masks: Tensor) -> Tensor:
    """Logarithmic to linear frequencies: (..., R, T) -> (..., F, T)."""
    return einsum("fr,...rt->...ft", _back(masks.device), masks)


def warped_energy(magnitudes: Tensor) -> Tensor:
    """What a mask of logarithmic rows stands for: the energies of the frequencies that `unwarped` takes from each row,
    (B, F, T) -> (B, R, T). Their sum is that of all energies."""
    return einsum("fr,bft->brt", _back(magnitudes.device), magnitudes.float().square())


def louder_than_half(own: Tensor, mixture: Tensor) -> Tensor:
    """The mask a source should have: where it has more than half of the mixture's magnitude, 0 or 1."""
    return (own > 0.5 * mixture).float()


def bin_weights(mixture: Tensor) -> Tensor:
    """How much a bin of the mixture counts: the logarithm of 1 and its magnitude, bounded."""
    return torch.log1p(mixture).clamp(*WEIGHTS)


def mask_loss(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of masks, a weight for each bin, mean over bins: three of (B, R, T) -> (B,)."""
    return F.binary_cross_entropy_with_logits(logits.float(), wanted, weights, reduction="none").mean(dim=(1, 2))


def distortion_ratio(found: Tensor, wanted: Tensor) -> Tensor:
    """Scale-invariant signal to distortion ratio in decibels, from -80 to 80, of sounds (B, N): -> (B,)."""
    wanted, found = wanted - wanted.mean(dim=1, keepdim=True), found - found.mean(dim=1, keepdim=True)
    power = wanted.square().sum(dim=1, keepdim=True).clamp(min=SMALLEST)
    projected = (found * wanted).sum(dim=1, keepdim=True) / power * wanted
    noise = (found - projected).square().sum(dim=1)
    return (10 * torch.log10((projected.square().sum(dim=1) + SMALLEST) / (noise + SMALLEST))).clamp(-80, 80)


def _back(device: torch.device) -> Tensor:
    """(F, R): linear interpolation from logarithmic rows to linear frequencies."""
    low, share = _places(ROWS, FREQUENCIES, True, device)
    weights = torch.zeros(FREQUENCIES, ROWS, device=device)
    weights.scatter_(1, low[:, None], (1 - share)[:, None])
    return weights.scatter_(1, low[:, None] + 1, share[:, None])


def _places(source: int, target: int, back: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each row of one axis lies on the other, (target,): the row below it, and how far it is to the next one.

    Row y of the logarithmic axis, in [-1, 1], lies at (21^((y + 1) / 2) - 11) / 10 of the linear one.
    """
    y = torch.linspace(-1, 1, target, dtype=torch.float64, device=device)
    place = 2 * torch.log(10 * y + 11) / log(BASE) - 1 if back else (BASE ** ((y + 1) / 2) - 11) / 10
    position = ((place + 1) / 2 * (source - 1)).clamp(0, source - 1)
    low = position.floor().clamp(max=source - 2).long()
    return low, (position - low).float()
