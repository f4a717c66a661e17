"""What can be done to a batch of images: crop, mirror, colours, blur. Tensors in, tensors out, no policy.

Every function takes float images (B, 3, H, W) on any device and parameters drawn on the CPU, one per image.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
CROP_ATTEMPTS = 10


def uniform(shape: tuple[int, ...], limits: tuple[float, float]) -> Tensor:
    """Draws from [low, high) on the CPU."""
    return limits[0] + (limits[1] - limits[0]) * torch.rand(shape)


def draw_crops(size: int, height: int, width: int, area: tuple[float, float], aspect: tuple[float, float]) -> Tensor:
    """Boxes (B, 4) of top, left, height, width in whole pixels, drawn as torchvision's RandomResizedCrop does.

    Area uniform, logarithm of the aspect uniform; the first of ten attempts that fits, else the whole image.
    """
    areas = height * width * uniform((CROP_ATTEMPTS, size), area)
    aspects = uniform((CROP_ATTEMPTS, size), (math.log(aspect[0]), math.log(aspect[1]))).exp()
    heights, widths = (areas / aspects).sqrt().round(), (areas * aspects).sqrt().round()
    fits = (heights >= 1) & (heights <= height) & (widths >= 1) & (widths <= width)
    first = fits.long().argmax(dim=0, keepdim=True)
    found = fits.gather(0, first)[0]
    heights = torch.where(found, heights.gather(0, first)[0], torch.tensor(float(height)))
    widths = torch.where(found, widths.gather(0, first)[0], torch.tensor(float(width)))
    tops = (torch.rand(size) * (height - heights + 1)).floor()
    lefts = (torch.rand(size) * (width - widths + 1)).floor()
    return torch.stack([tops, lefts, heights, widths], dim=1)


def resized_crop(image: Tensor, boxes: Tensor, flips: Tensor) -> Tensor:
    """Each image's box, stretched to the whole image (bilinear), mirrored where `flips` (B,) says so."""
    height, width = image.shape[-2:]
    tops, lefts, heights, widths = boxes.to(image.device).unsqueeze(-1).unbind(dim=1)
    y = _within(tops, heights, height, image.device)
    x = _within(lefts, widths, width, image.device)
    x = torch.where(flips.to(image.device).unsqueeze(1), x.flip(1), x)
    grid = torch.stack(torch.broadcast_tensors(x.unsqueeze(1), y.unsqueeze(2)), dim=-1)
    return F.grid_sample(image, grid, mode="bilinear", align_corners=False)


def _within(start: Tensor, length: Tensor, size: int, device: torch.device) -> Tensor:
    """Where `size` evenly spaced points of [start, start + length] lie, as grid_sample counts: (B, 1) -> (B, size)."""
    share = (torch.arange(size, device=device) + 0.5) / size
    pixel = start + share * length - 0.5
    pixel = torch.minimum(torch.maximum(pixel, start), start + length - 1)  # the border repeats the crop's own edge
    return (2 * pixel + 1) / size - 1


def brightness(image: Tensor, factor: Tensor) -> Tensor:
    """(B, 3, H, W), (B, 1, 1, 1) -> (B, 3, H, W); 1 changes nothing. So for the two below."""
    return image * factor


def contrast(image: Tensor, factor: Tensor) -> Tensor:
    """Towards the mean of the image's luma."""
    mean = luma(image).mean(dim=(2, 3), keepdim=True)
    return mean + (image - mean) * factor


def saturation(image: Tensor, factor: Tensor) -> Tensor:
    """Towards each pixel's luma."""
    grey = luma(image)
    return grey + (image - grey) * factor


def hue(image: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of HSV by `turns` (B, 1, 1, 1) of the circle; value and saturation stay. Values in [0, 1]."""
    red, green, blue = image.unbind(dim=1)
    value = image.amax(dim=1)
    chroma = value - image.amin(dim=1)
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    sixth = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sixth = sixth + 6 * turns.squeeze(1)
    distance = [torch.remainder(n + sixth, 6) for n in (5, 3, 1)]
    return torch.stack([value - chroma * torch.minimum(d, 4 - d).clamp(0, 1) for d in distance], dim=1)


def luma(image: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W)."""
    weights = torch.tensor(LUMA, device=image.device, dtype=image.dtype).view(1, 3, 1, 1)
    return (image * weights).sum(dim=1, keepdim=True)


def gaussian_blur(image: Tensor, sigma: Tensor, reach: int) -> Tensor:
    """Blur each image with its own sigma (B,), in pixels; the kernel is 2 * reach + 1 wide, edges are reflected."""
    size, channels, height, width = image.shape
    reach = min(reach, height - 1, width - 1)
    offsets = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offsets / sigma.unsqueeze(1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).to(image.device).repeat_interleave(channels, dim=0)
    flat = F.pad(image, (reach,) * 4, mode="reflect").flatten(0, 1).unsqueeze(0)
    flat = F.conv2d(flat, kernel.view(-1, 1, 1, 2 * reach + 1), groups=size * channels)
    flat = F.conv2d(flat, kernel.view(-1, 1, 2 * reach + 1, 1), groups=size * channels)
    return flat.view(size, channels, height, width)
