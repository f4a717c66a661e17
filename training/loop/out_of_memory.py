"""A step that does not fit: which setting to lower, and by how much."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from manifests.commands.endings import lacks_memory
from manifests.errors import WorkFailed
from training.config import RunConfig
from training.distributed import Ranks
from training.loop.whole_batch import share


@contextmanager
def explained(config: RunConfig, process: Ranks, resident_bytes: Callable[[], int]) -> Iterator[None]:
    """WorkFailed for a lack of memory; `resident_bytes` says what clips that stay on the device take of it."""
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        optim, side = config.optim, config.data.image_size
        raise WorkFailed(
            f"There is not enough memory on {_named(process.device)} for a step of {optim.batch_size} clips in "
            f"{optim.replicas} parts at {side} px. {_advice(config, process, resident_bytes())} The last checkpoint is "
            "kept: where a setting does not change what is computed, the run goes on from it."
        ) from error


def _named(device: torch.device) -> str:
    if device.type != "cuda":
        return "this machine"
    free, total = torch.cuda.mem_get_info(device)
    return f"{device} ({free / 2**30:.1f} of {total / 2**30:.1f} GiB free)"


def _advice(config: RunConfig, process: Ranks, resident_bytes: int) -> str:
    """What to try, that which changes nothing first."""
    optim, tried = config.optim, []
    if resident_bytes:
        tried.append(f"compute.resident=never frees {resident_bytes / 2**30:.1f} GiB and changes no result")
    if process.device.type == "cuda" and optim.precision == "float32":
        tried.append("optim.precision=bfloat16 halves what the layers keep")
    tried += _smaller_parts(config, process)
    smaller = max(32, config.data.image_size * 7 // 10 // 32 * 32)
    if smaller < config.data.image_size:
        tried.append(f"data.image_size={smaller} takes about half the memory")
    return (
        f"Try, in this order: {'; '.join(tried)}." if tried else "Use a device with more memory, or a smaller network."
    )


def _smaller_parts(config: RunConfig, process: Ranks) -> list[str]:
    """How less is computed at once.

    A loss of the whole batch holds the activations of all parts until they are computed again. Only with statistics of
    its own is a part computed alone.
    """
    optim, whole = config.optim, config.optim.negatives == "global"
    tried = []
    if whole and not share(config, process).recompute:
        tried.append("compute.recompute=always computes trunks again in the backward pass and changes no result")
    halved = "halves what is computed at once"
    if optim.batch_norm == "local" and optim.batch_size % (4 * optim.replicas) == 0:
        changed = "the clips of its batch statistics" if whole else "the negatives of each clip"
        tried.append(f"optim.replicas={2 * optim.replicas} {halved}, and with it {changed}")
    if (half := _half(optim.batch_size, optim.replicas)) is not None:
        tried.append(f"optim.batch_size={half} {halved}, and with it the negatives of each clip")
    return tried


def _half(batch: int, replicas: int) -> int | None:
    """The largest batch up to half of this one that still falls into equal parts of two clips or more."""
    half = batch // 2 // replicas * replicas
    return half if half >= 2 * replicas else None
