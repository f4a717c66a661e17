"""How the benchmarks of a step take time: the device is asked to be done before a clock is read."""

import statistics
import time
from collections.abc import Callable

import torch


def settled(device: str) -> float:
    """The time at which all work given to the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_of(work: Callable[[], object], device: str, repeats: int = 7, times: int = 3) -> float:
    """Median seconds of one call, after a warm-up."""
    for _ in range(times):
        work()
    taken = []
    for _ in range(repeats):
        start = settled(device)
        for _ in range(times):
            work()
        taken.append((settled(device) - start) / times)
    return statistics.median(taken)
