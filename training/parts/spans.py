"""Parts of the sounds that methods are given, by when they are heard. A sound is the 3 s around its clip's moment."""

from collections.abc import Sequence

import torch
from torch import Tensor

SECONDS = 3.0
REACH = SECONDS / 2  # of a sound, on either side of the moment


def span(audio: Tensor, centre: float, width: float) -> Tensor:
    """The columns of `width` seconds around `centre`, seconds from the moment: (B, 1, F, T) -> (B, 1, F, columns).

    As many columns wherever it lies; at an end of the sound it is moved inside.
    """
    columns = audio.shape[-1]
    wide = min(max(1, round(width / SECONDS * columns)), columns)
    first = round((centre / SECONDS + 0.5) * columns - wide / 2)
    return audio[..., max(0, min(first, columns - wide)) :][..., :wide]


def spans(audio: Tensor, centres: Sequence[float], width: float) -> Tensor:
    """`span` around each of N centres: (B, 1, F, T) -> (B, N, 1, F, columns)."""
    return torch.stack([span(audio, centre, width) for centre in centres], dim=1)


def refuse_beyond(reach: float, options: str, remedy: str) -> None:
    """ValueError where options ask for the sound farther from the moment, `reach` seconds, than clips hold it."""
    if reach > REACH:
        raise ValueError(
            f"{options} ask for the sound up to {reach:.2f} s from the moment, and clips hold {REACH} s: {remedy}"
        )
