"""A step that does not fit: which setting to lower, and by how much."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from manifests.errors import WorkFailed
from training.config import RunConfig

ON_CPU = ("can't allocate memory", "not enough memory")  # how torch's allocator says it, as a RuntimeError


@contextmanager
def explained(config: RunConfig, device: torch.device, resident_bytes: Callable[[], int]) -> Iterator[None]:
    """WorkFailed for a lack of memory; `resident_bytes` says what clips that stay on the device take of it."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError) and not _is_lack(error):
            raise
        optim, side = config.optim, config.data.image_size
        raise WorkFailed(
            f"There is not enough memory on {_named(device)} for a step of {optim.batch_size} clips in "
            f"{optim.replicas} parts at {side} px. {_advice(config, device, resident_bytes())} The last checkpoint is "
            "kept: where a setting does not change what is computed, the run goes on from it."
        ) from error


def _is_lack(error: RuntimeError) -> bool:
    return any(words in str(error) for words in ON_CPU)


def _named(device: torch.device) -> str:
    if device.type != "cuda":
        return "this machine"
    free, total = torch.cuda.mem_get_info(device)
    return f"{device} ({free / 2**30:.1f} of {total / 2**30:.1f} GiB free)"


def _advice(config: RunConfig, device: torch.device, resident_bytes: int) -> str:
    """What to try, that which changes nothing first."""
    optim, tried = config.optim, []
    if resident_bytes:
        tried.append(f"compute.resident=never frees {resident_bytes / 2**30:.1f} GiB and changes no result")
    if device.type == "cuda" and optim.precision == "float32":
        tried.append("optim.precision=bfloat16 halves what the layers keep")
    if optim.batch_size % (4 * optim.replicas) == 0:
        parts = f"optim.replicas={2 * optim.replicas} halves what is computed at once"
        tried.append(f"{parts}, and with it the negatives of each clip")
    if (half := _half(optim.batch_size, optim.replicas)) is not None:
        tried.append(f"optim.batch_size={half} does so, too")
    smaller = max(32, config.data.image_size * 7 // 10 // 32 * 32)
    if smaller < config.data.image_size:
        tried.append(f"data.image_size={smaller} takes about half the memory")
    return (
        f"Try, in this order: {'; '.join(tried)}." if tried else "Use a device with more memory, or a smaller network."
    )


def _half(batch: int, replicas: int) -> int | None:
    """The largest batch up to half of this one that still falls into equal parts of two clips or more."""
    half = batch // 2 // replicas * replicas
    return half if half >= 2 * replicas else None
