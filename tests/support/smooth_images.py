"""Images with structure at several scales, made in a moment."""

import torch

SIZE = 48


def images(count: int = 6, seed: int = 0) -> torch.Tensor:
    """Smooth float images with structure at several scales."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    fine = torch.rand(count, 3, SIZE, SIZE, generator=generator)
    return 0.7 * torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear") + 0.3 * fine


def uint8(count: int = 6) -> torch.Tensor:
    return (images(count) * 255).to(torch.uint8)


def per_image(values: list[float]) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)
