"""Memory that a process frees stays its own: the next tensor of that size finds it there."""

import ctypes
import os

# Above a threshold of its own (32 MB at most) glibc maps every block and gives it back to the kernel when it is freed:
# each activation of a convolution is then mapped and zeroed page by page, again in every layer of every step. That is
# a seventh of a training step of ResNet-18 and two fifths of one of EfficientNet (benchmarks/training/memory.py).
LARGEST_IN_HEAP = 1 << 30  # bytes
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # as glibc's malloc.h numbers what mallopt sets
ASKED = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """Keep what is freed for the rest of the process, unless the environment says how memory is handled.

    A process stays as large as it once was, or somewhat larger: pieces of the heap between two that are in use cannot
    be given back. Does nothing where the C library is not glibc.
    """
    if os.environ.keys() & set(ASKED):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST_IN_HEAP)
        mallopt(TRIM_THRESHOLD, 2 * LARGEST_IN_HEAP - 1)
