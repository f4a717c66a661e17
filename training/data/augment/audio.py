"""What can be done to a batch of log-power spectrograms (B, F, T): turn in time, cover stripes. No policy."""

import torch
from torch import Tensor


def time_shift(spectrogram: Tensor, shifts: Tensor) -> Tensor:
    """Begin each sound `shifts` (B,) columns later, the skipped part moved to its end: (B, F, T) -> (B, F, T)."""
    columns = torch.arange(spectrogram.shape[2]) + shifts.unsqueeze(1)
    columns = (columns % spectrogram.shape[2]).to(spectrogram.device)
    return spectrogram.gather(2, columns.unsqueeze(1).expand_as(spectrogram))


def draw_masks(size: int, widest: float, length: int) -> Tensor:
    """Half-open spans (2, B) of starts and ends, drawn as torchaudio's `mask_along_axis_iid` draws them.

    Widths are uniform below `widest`, starts uniform over what is left of `length`.
    """
    width, place = torch.rand(size) * widest, torch.rand(size)
    start = (place * (length - width)).long()
    return torch.stack([start, start + width.long()])


def draw_stripes(size: int, width: int, starts: int) -> Tensor:
    """Half-open spans (2, B): starts in [0, starts), lengths in [0, width), whole numbers as FNAC's code draws them."""
    start = torch.randint(starts, (size,))
    return torch.stack([start, start + torch.randint(width, (size,))])


def mask_axis(spectrogram: Tensor, axis: int, spans: Tensor, value: float) -> Tensor:
    """Overwrite [start, end) along an axis of each sound with a value; `spans` (2, B)."""
    shape = [1, 1, 1]
    shape[axis] = -1
    place = torch.arange(spectrogram.shape[axis], device=spectrogram.device).view(shape)
    start, end = spans.to(spectrogram.device).view(2, -1, 1, 1)
    return spectrogram.masked_fill((place >= start) & (place < end), value)
