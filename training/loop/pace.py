"""How quickly a run goes: samples a second, the share of time spent waiting for data, the memory its GPU has needed."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch

from training.loop.checkpoint import Progress

Item = TypeVar("Item")
PACE = "pace"  # of a logged step: since the one before


class Pace:
    """Measures between two logged steps; `batch_size` clips a step over all ranks."""

    def __init__(self, batch_size: int, device: torch.device, done: Progress) -> None:
        self.batch_size, self.device, self._before = batch_size, device, done
        self._waited = 0.0

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, with the time measured that each lets the loop wait."""
        rest = iter(items)
        while True:
            began = time.monotonic()
            item = next(rest, None)
            self._waited += time.monotonic() - began
            if item is None:
                return
            yield item

    def reading(self, done: Progress) -> dict[str, float]:
        """`samples_per_second`; `stall`, the share of time waited for data; on a GPU `gpu_gigabytes`, the most used."""
        steps, seconds = done.step - self._before.step, done.seconds - self._before.seconds
        waited, self._before, self._waited = self._waited, done, 0.0
        if steps <= 0 or seconds <= 0:
            return {}
        found = {"samples_per_second": steps * self.batch_size / seconds, "stall": min(1.0, waited / seconds)}
        if self.device.type == "cuda":
            found["gpu_gigabytes"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        return {name: round(value, 4) for name, value in found.items()}
