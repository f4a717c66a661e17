"""What a model sees of a clip: JPEG and spectrogram bytes to square images and normalised tensors.

Images stay uint8 and sounds float16 until they are on the training device; the two `normalise` functions make them
floats there.
"""

import random
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from index.encoders.imagenet import DEVIATION, MEAN
from manifests.annotations import Box
from manifests.files.images import check_jpeg
from manifests.views import ViewName, window
from training.config import Data


def normalise_image(pixels: Tensor) -> Tensor:
    """(B, 3, S, S) uint8 -> float32, ImageNet mean and deviation."""
    mean = torch.tensor(MEAN, device=pixels.device).view(3, 1, 1)
    std = torch.tensor(DEVIATION, device=pixels.device).view(3, 1, 1)
    return pixels.to(torch.float32, copy=True).div_(255).sub_(mean).div_(std)  # in place: memory traffic is the cost


def normalise_audio(spectrogram: Tensor, data: Data) -> Tensor:
    """(B, F, T) float16 log power -> (B, 1, F, T) float32; the family divides by 12, so silence is -1.343."""
    own = spectrogram.to(torch.float32, copy=True).unsqueeze(1)
    return own.sub_(data.audio_mean).div_(data.audio_deviation)


def decode_image(content: bytes) -> Tensor:
    """JPEG bytes -> (3, H, W) uint8 RGB. ValueError for anything else."""
    check_jpeg(content)
    packed = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    try:
        return cast(Tensor, decode_jpeg(packed, mode=ImageReadMode.RGB))  # a list only for a list
    except RuntimeError as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def squashed(image: Tensor, size: int) -> Tensor:
    """The whole frame resized to a square."""
    return resized(image, size)


def shown(image: Tensor, size: int, view: ViewName) -> Tensor:
    """What a model is shown of a frame (3, H, W) in a test: (3, size, size)."""
    made = window(view, image.shape[1], image.shape[2], size)
    if image.shape[1:] != (made.height, made.width):
        image = transforms.resize(image, [made.height, made.width], InterpolationMode.BICUBIC, antialias=True)
    return image[:, made.top : made.top + size, made.left : made.left + size]


def view_side(data: Data, short_side: int) -> int:
    """Side of a training view as the readers cut it, in pixels of frames stored with this short side.

    Readers cut, the training device resizes the whole batch to `data.image_size` (`resized`): that takes a third off a
    reader's time. Squashed frames, and those that were stored in the sizes of their videos (a short side of 0), differ
    and are resized by the reader.
    """
    if data.squash or not short_side:
        return data.image_size
    return round(data.image_size * short_side / _scaled_side(data))


def _scaled_side(data: Data) -> int:
    """Short side the papers resize a frame to before they crop `image_size`."""
    return max(data.image_size, round(data.image_size * data.crop_scale))


@dataclass(frozen=True)
class Crop:
    """The square of a frame that a training view shows, in pixels."""

    top: int
    left: int
    side: int
    flipped: bool

    def part(self, height: int, width: int) -> Box:
        """What it shows of a frame of this size: x1, y1, x2, y2 as fractions."""
        right, bottom = self.left + self.side, self.top + self.side
        return self.left / width, self.top / height, right / width, bottom / height


def random_view(image: Tensor, side: int, data: Data, draw: random.Random) -> Tensor:
    """A training view (3, side, side): a random square whose side is 1 / crop_scale of the short side, random flip."""
    return cut(image, drawn_crop(image, data, draw), side, data)


def drawn_crop(image: Tensor, data: Data, draw: random.Random) -> Crop:
    """Where the view of a frame (3, H, W) is cut."""
    return random_crop(*croppable_size(image.shape[1], image.shape[2], data), data, draw)


def cut(image: Tensor, crop: Crop, side: int, data: Data) -> Tensor:
    """The view (3, side, side) of a frame that a crop shows."""
    image = croppable(image, data)
    rows, columns = slice(crop.top, crop.top + crop.side), slice(crop.left, crop.left + crop.side)
    image = resized(image[:, rows, columns], side)  # frames are stored smaller when the video is
    return image.flip(-1) if crop.flipped else image


def croppable(image: Tensor, data: Data) -> Tensor:
    """The frame (3, H, W) that crops are cut from: as stored, or made square first where the run asks for it."""
    return squashed(image, _scaled_side(data)) if data.squash else image


def croppable_size(height: int, width: int, data: Data) -> tuple[int, int]:
    """Height and width of `croppable` of a frame of this size."""
    return (_scaled_side(data), _scaled_side(data)) if data.squash else (height, width)


def random_crop(height: int, width: int, data: Data, draw: random.Random) -> Crop:
    """Where the view of a frame of this size is cut."""
    side = _crop_side(height, width, data)
    top, left = draw.randint(0, height - side), draw.randint(0, width - side)
    return Crop(top, left, side, data.flip and draw.random() < 0.5)


def _crop_side(height: int, width: int, data: Data) -> int:
    return round(min(height, width) * data.image_size / _scaled_side(data))


def moving(sizes: np.ndarray, data: Data) -> bool:
    """Whether crops of frames of these sizes, (N, 2), differ from epoch to epoch; else each is the whole, all alike."""
    side = sizes[0, 0]
    return bool((sizes != side).any()) or _crop_side(side, side, data) != side


def resized(pixels: Tensor, size: int) -> Tensor:
    """uint8 (..., 3, S, S) -> (..., 3, size, size), bicubic and antialiased; as it is when it has that size."""
    if pixels.shape[-2:] == (size, size):
        return pixels
    return transforms.resize(pixels, [size, size], InterpolationMode.BICUBIC, antialias=True)


def clip_random(seed: int, epoch: int, key: str) -> random.Random:
    """The clip's own source of randomness in an epoch."""
    return random.Random(f"{seed}/{epoch}/{key}")
