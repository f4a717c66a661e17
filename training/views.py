"""What a model sees of a clip: JPEG and spectrogram bytes to square pictures and normalised tensors.

Pictures stay uint8 and sounds float16 until they are on the training device; the two `normalise` functions make them
floats there.
"""

import random

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from training.config import Data

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalise_image(pixels: Tensor) -> Tensor:
    """(B, 3, S, S) uint8 -> float32, ImageNet mean and deviation."""
    mean = torch.tensor(IMAGENET_MEAN, device=pixels.device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=pixels.device).view(3, 1, 1)
    return (pixels.float() / 255 - mean) / std


def normalise_audio(spectrogram: Tensor, data: Data) -> Tensor:
    """(B, F, T) float16 log power -> (B, 1, F, T) float32; the family divides by 12, so silence is -1.343."""
    return (spectrogram.float().unsqueeze(1) - data.audio_mean) / data.audio_deviation


def decode_image(content: bytes) -> Tensor:
    """JPEG bytes -> (3, H, W) uint8 RGB."""
    return decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), mode=ImageReadMode.RGB)


def squashed(image: Tensor, size: int) -> Tensor:
    """The whole frame resized to a square: what every box-based evaluation of the field shows a model."""
    return transforms.resize(image, [size, size], InterpolationMode.BICUBIC, antialias=True)


def random_view(image: Tensor, size: int, data: Data, draw: random.Random) -> Tensor:
    """A training view: short side to size * crop_scale, random square crop, random flip."""
    short = max(size, round(size * data.crop_scale))
    height, width = (1, 1) if data.squash else image.shape[1:]
    scale = short / min(height, width)
    height, width = max(size, round(height * scale)), max(size, round(width * scale))
    image = transforms.resize(image, [height, width], InterpolationMode.BICUBIC, antialias=True)
    top, left = draw.randint(0, height - size), draw.randint(0, width - size)
    image = image[:, top : top + size, left : left + size]
    return image.flip(-1) if data.flip and draw.random() < 0.5 else image


def clip_random(seed: int, epoch: int, key: str) -> random.Random:
    """The clip's own source of randomness in an epoch."""
    return random.Random(f"{seed}/{epoch}/{key}")
