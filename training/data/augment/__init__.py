"""Augmentation on the training device: whole batches at once, every random number drawn on the CPU.

Images arrive as uint8 and leave as uint8, sounds arrive as log power and leave as log power: `image_view` and
`audio_view` stand between the loader and the normalisation, under a policy's name. The draws come from torch's global
CPU generator, which the loop seeds per (seed, step, replica), so every device sees the same views. `Geometry` is the
one operator that acts on images and on maps alike (SSL-TIE's equivariance).
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from training.data.augment.audio import draw_masks, draw_stripes, mask_axis, time_shift
from training.data.augment.images import (
    brightness,
    contrast,
    draw_crops,
    gaussian_blur,
    hue,
    luma,
    resized_crop,
    saturation,
    uniform,
)

COLOURS = {"brightness": brightness, "contrast": contrast, "saturation": saturation}  # in this order
BLUR_REACH = 4.0  # the blur's kernel ends after this many of its largest sigma


@dataclass(frozen=True)
class ImagePolicy:
    """What may happen to an image; chances are per image. All zero: nothing."""

    crop_area: tuple[float, float] = (1.0, 1.0)  # share of the image
    crop_aspect: tuple[float, float] = (1.0, 1.0)  # width / height
    flip_chance: float = 0.0
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # brightness, contrast, saturation, hue (turns)
    jitter_chance: float = 0.0
    grey_chance: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)  # pixels
    blur_chance: float = 0.0


@dataclass(frozen=True)
class AudioPolicy:
    """What may happen to a log-power spectrogram; the widths of masks are shares of the axis they cut."""

    shift: bool = False
    time_mask: float = 0.0
    frequency_mask: float = 0.0
    mask_chance: float = 1.0
    stripes: int = 0  # fewer rows and columns than this are covered
    stripes_swapped: bool = False  # each axis begins its stripe somewhere along the other one
    fill: float | None = None  # what is written over the sound; None: the front end's silence


_Policy = TypeVar("_Policy", ImagePolicy, AudioPolicy)
PHOTO_ASPECT = (3 / 4, 4 / 3)
IMAGE_POLICIES = {
    "none": ImagePolicy(),
    # Short side to 1.1 x size, random crop, flip (LVS, EZ-VSL, SSPL): cut from the square that the loader made.
    "crop_flip": ImagePolicy(crop_area=(1 / 1.1**2, 1 / 1.1**2), flip_chance=0.5),
    # SimCLR (Chen et al. 2020, arXiv:2002.05709, appendix A, ImageNet: colour strength 1).
    "simclr": ImagePolicy((0.08, 1.0), PHOTO_ASPECT, 0.5, (0.8, 0.8, 0.8, 0.2), 0.8, 0.2, (0.1, 2.0), 0.5),
    # MoCo v2 as SSL-TIE's code has it: crops from 0.3 of the image, where MoCo takes 0.2.
    "moco": ImagePolicy((0.3, 1.0), PHOTO_ASPECT, 0.5, (0.4, 0.4, 0.4, 0.1), 0.8, 0.2, (0.1, 2.0), 0.5),
}
AUDIO_POLICIES = {
    "none": AudioPolicy(),
    # Alignment's random time window; a shard holds one window, so it is turned in a circle.
    "time_shift": AudioPolicy(shift=True),
    # SSL-TIE's code: up to 180 of 670 columns and 35 of 257 rows, no power there, for four clips of five.
    "masks": AudioPolicy(time_mask=180 / 670, frequency_mask=35 / 257, mask_chance=0.8),
    # FNAC: up to 9 rows and 9 columns. Its code draws the rows' start from the number of columns and the reverse, so
    # that many fall outside, and fills with 0, a very loud log power.
    "stripes_released": AudioPolicy(stripes=10, stripes_swapped=True, fill=0.0),
    "stripes_corrected": AudioPolicy(stripes=10),
}


def image_view(pixels: Tensor, policy: str) -> Tensor:
    """One view of each image: (B, 3, H, W) uint8 -> (B, 3, H, W) uint8. InputError for an unknown policy.

    Crop and flip first, then colours in an order of each image's own, grey, blur. (Where a paper flips last, the
    result is the same.)
    """
    chosen = _named(policy, IMAGE_POLICIES, "image")
    if chosen == ImagePolicy():
        return pixels
    image = pixels.float() / 255
    height, width = image.shape[-2:]
    boxes = draw_crops(len(image), height, width, chosen.crop_area, chosen.crop_aspect)
    image = resized_crop(image, boxes, torch.rand(len(image)) < chosen.flip_chance)
    _jitter(image, chosen)
    _grey(image, _rows(len(image), chosen.grey_chance, image.device))
    _blur(image, _rows(len(image), chosen.blur_chance, image.device), chosen.blur_sigma)
    return (image * 255).round().clamp(0, 255).to(torch.uint8)


def audio_view(spectrogram: Tensor, policy: str, silence: float) -> Tensor:
    """One view of each sound: (B, F, T) -> the same shape and type. InputError for an unknown policy.

    silence: the value that the spectrograms' front end gives to digital silence; masks write it.
    """
    chosen = _named(policy, AUDIO_POLICIES, "audio")
    fill = silence if chosen.fill is None else chosen.fill
    size, rows, columns = spectrogram.shape
    if chosen.shift:
        spectrogram = time_shift(spectrogram, torch.randint(0, columns, (size,)))
    if chosen.time_mask or chosen.frequency_mask:
        masked = torch.rand(size) < chosen.mask_chance
        for axis, widest in ((2, chosen.time_mask * columns), (1, chosen.frequency_mask * rows)):
            spans = draw_masks(size, widest, spectrogram.shape[axis])
            spectrogram = mask_axis(spectrogram, axis, spans * masked, fill)
    if chosen.stripes:
        starts = (rows, columns) if chosen.stripes_swapped else (columns, rows)
        for axis, start in zip((2, 1), starts, strict=True):
            spectrogram = mask_axis(spectrogram, axis, draw_stripes(size, chosen.stripes, start), fill)
    return spectrogram


def _named(name: str, policies: Mapping[str, _Policy], kind: str) -> _Policy:
    if name not in policies:
        meant = did_you_mean(name, policies)
        raise InputError(f"unknown {kind} policy {name!r}.{meant} The known ones are {', '.join(policies)}.")
    return policies[name]


def _rows(size: int, chance: float, device: torch.device) -> Tensor:
    """Indices of the images that something happens to."""
    return (torch.rand(size) < chance).nonzero().flatten().to(device)


def _jitter(image: Tensor, policy: ImagePolicy) -> None:
    """Brightness, contrast, saturation and hue of the chosen images, each in its own random order, in place."""
    size = len(image)
    applied = torch.rand(size) < policy.jitter_chance
    order = torch.rand(size, 4).argsort(dim=1)
    change = torch.tensor(policy.jitter) * (2 * torch.rand(size, 4) - 1)
    change[:, :3] += 1  # factors around 1; the hue's is an angle around 0
    change = change.to(image.device).view(size, 4, 1, 1, 1)
    for position in range(4):
        for number, operation in enumerate((brightness, contrast, saturation, hue)):
            rows = (applied & (order[:, position] == number)).nonzero().flatten().to(image.device)
            if len(rows) and policy.jitter[number]:
                image[rows] = operation(image[rows], change[rows, number]).clamp(0, 1)


def _grey(image: Tensor, rows: Tensor) -> None:
    image[rows] = luma(image[rows]).expand(-1, 3, -1, -1)


def _blur(image: Tensor, rows: Tensor, sigma: tuple[float, float]) -> None:
    if len(rows):
        image[rows] = gaussian_blur(image[rows], uniform((len(rows),), sigma), math.ceil(BLUR_REACH * sigma[1]))


def colour_jitter(pixels: Tensor, strength: float, colours: Collection[str] = tuple(COLOURS)) -> Tensor:
    """Brightness, contrast and saturation of each image, or some of them, by factors in [1 - strength, 1 + strength].

    (B, 3, H, W) uint8 -> uint8; the mild policy of runs from small images, on top of the loader's crop and flip.
    """
    factors = (1 + strength * (2 * torch.rand(3, len(pixels), 1, 1, 1) - 1)).to(pixels.device)
    image = pixels.float()
    for (name, change), factor in zip(COLOURS.items(), factors, strict=True):
        image = change(image, factor) if name in colours else image
    return image.round().clamp(0, 255).to(torch.uint8)
