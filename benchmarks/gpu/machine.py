"""The ceilings: what this GPU copies and multiplies in a second, and the limits that follow for a training step."""

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.timing import seconds_of

# One pair of a 224 px image and a 257 x 300 spectrogram through two ResNet-18 at stride 32, forward and backward.
PAIR_FLOP, PAIR_BYTES = 27.7e9, 200e6


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    side = 8192 if device == "cuda" else 256
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        note(name=properties.name, memory_gb=round(properties.total_memory / 1e9, 1),
             multiprocessors=properties.multi_processor_count, cuda=torch.version.cuda,
             cudnn=torch.backends.cudnn.version())  # fmt: skip
    source = torch.randn(side, side * 8, device=device)
    target = torch.empty_like(source)
    copied = 2 * source.nbytes / seconds_of(lambda: target.copy_(source), device)
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    multiplied = 2 * side**3 / seconds_of(lambda: one @ other, device)
    note(copy_tb_per_s=round(copied / 1e12, 3), bfloat16_tflop_per_s=round(multiplied / 1e12, 1))
    note(pairs_per_second={
        "by measured matrix products": round(multiplied / PAIR_FLOP),
        "by half of them": round(multiplied / 2 / PAIR_FLOP),
        "by measured copies": round(copied / PAIR_BYTES),
        "by 80 % of them": round(0.8 * copied / PAIR_BYTES),
    })  # fmt: skip
