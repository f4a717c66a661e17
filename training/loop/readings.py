"""The losses of the last steps on their way back from the device.

Reading a number from a GPU makes the program wait until all its work is done, and the GPU then waits for the program.
So a step's losses are copied beside the next steps and read two steps later. On a CPU they are read at once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from training.loop.checkpoint import Progress

BEHIND = 2  # steps that a GPU may be ahead of what has been read of it


@dataclass(frozen=True)
class Step:
    """How far a step brought the run, with which learning rate, on which clips; whether it was left out after all."""

    done: Progress
    learning_rate: float
    keys: list[str]
    skipped: bool = False


@dataclass(frozen=True)
class _Underway:
    step: Step
    names: list[str]
    values: Tensor
    copied: torch.cuda.Event | None


class Readings:
    """Takes the losses of steps in turn and gives those that have arrived, in the same order."""

    def __init__(self) -> None:
        self._underway: deque[_Underway] = deque()

    def put(self, step: Step, names: list[str], values: Tensor) -> None:
        """Begin to read a step's losses: `values` (L,) on the device, one for each name."""
        copied = None
        if values.is_cuda:
            values, copied = values.to("cpu", non_blocking=True), torch.cuda.Event()
            copied.record()
        self._underway.append(_Underway(step, names, values, copied))

    def arrived(self) -> Iterator[tuple[Step, dict[str, float]]]:
        """Steps with their losses by name; of a GPU all but the last few, so that nobody waits."""
        while self._underway and (self._underway[0].copied is None or len(self._underway) > BEHIND):
            yield self._next()

    def rest(self) -> Iterator[tuple[Step, dict[str, float]]]:
        """All that is left, waited for."""
        while self._underway:
            yield self._next()

    def _next(self) -> tuple[Step, dict[str, float]]:
        one = self._underway.popleft()
        if one.copied is not None:
            one.copied.synchronize()
        return one.step, dict(zip(one.names, one.values.tolist(), strict=True))
