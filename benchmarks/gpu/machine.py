"""The ceilings: what this GPU copies and multiplies in a second, and the limits that follow for a training step."""

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.step.limits import BY_COPIES, BY_PRODUCTS, copies, pairs_per_second, products
from benchmarks.step.sizes import Sizes


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    side = 8192 if device == "cuda" else 256
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        note(name=properties.name, memory_gb=round(properties.total_memory / 1e9, 1),
             multiprocessors=properties.multi_processor_count, cuda=torch.version.cuda,
             cudnn=torch.backends.cudnn.version())  # fmt: skip
    copied = copies(side, side * 8, device)
    multiplied = products(side, device, torch.bfloat16)
    note(copy_tb_per_s=round(copied / 1e12, 3), bfloat16_tflop_per_s=round(multiplied / 1e12, 1))
    limits = pairs_per_second(multiplied, copied, "bfloat16")
    note(pairs_per_second={
        BY_PRODUCTS: round(limits[BY_PRODUCTS]),
        "by half of them": round(limits[BY_PRODUCTS] / 2),
        BY_COPIES: round(limits[BY_COPIES]),
        "by 80 % of them": round(0.8 * limits[BY_COPIES]),
    })  # fmt: skip
