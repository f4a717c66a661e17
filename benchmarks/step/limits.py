"""What a device does in a second, and how many pairs a second follow from that at most."""

import torch

from benchmarks.step.timing import seconds_of

# One pair of a 224 px image and a 257 x 300 spectrogram through two ResNet-18 at stride 32, forward and backward.
PAIR_FLOP = 27.7e9
PAIR_BYTES = {"bfloat16": 200e6, "float32": 400e6}  # mostly activations, by the size of their numbers
BY_PRODUCTS, BY_COPIES = "by measured matrix products", "by measured copies"
BY_CONVOLUTIONS = "by measured convolutions"  # on a CPU quicker than matrix products, by another library


def products(side: int, device: str, dtype: torch.dtype) -> float:
    """FLOP per second of multiplying two square matrices."""
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / seconds_of(lambda: one @ other, device)


def convolutions(clips: int, channels: int, side: int, device: str) -> float:
    """FLOP per second of a 3 x 3 convolution of float32 maps, forward, as the trunks run it."""
    layout = torch.channels_last
    maps = torch.randn(clips, channels, side, side, device=device).contiguous(memory_format=layout)
    weights = torch.randn(channels, channels, 3, 3, device=device).contiguous(memory_format=layout)
    flop = 2 * 9 * clips * (channels * side) ** 2
    return flop / seconds_of(lambda: torch.nn.functional.conv2d(maps, weights, padding=1), device)


def copies(rows: int, columns: int, device: str) -> float:
    """Bytes per second, read and written, of copying a float32 matrix."""
    source = torch.randn(rows, columns, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds_of(lambda: target.copy_(source), device)


def pairs_per_second(flop: float, copied: float, precision: str) -> dict[str, float]:
    """Of a device that multiplies and copies so much in a second."""
    return {BY_PRODUCTS: flop / PAIR_FLOP, BY_COPIES: copied / PAIR_BYTES[precision]}
