"""A training step fed in several ways, and taken as the loop takes it.

`fixed` feeds it with uint8 frames and float16 sounds that lie on the device already: what a feed can reach at best.
`resident` and `streamed` are the loop's own feeds, which its config decides on; `loader` is the readers' batches,
copied to the device in the step.
"""

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from benchmarks.step.timing import settled
from training.data.stream import TrainingStream, training_loader
from training.loop.device_batches import DeviceBatches, moved
from training.loop.pace import Pace
from training.loop.readings import Step
from training.loop.trainer import Trainer


class Fed:
    """A trainer that takes steps when it is asked to. `loss` is the last one that was read, a few steps behind."""

    def __init__(self, trainer: Trainer, feed: str) -> None:
        self.trainer, self.device, self.loss = trainer, trainer.ranks.device.type, math.nan
        self._pace = Pace(trainer.config.optim.batch_size, trainer.ranks.device, trainer.done)
        self._batches = self._pace.over(feeds(trainer, feed))

    def advance(self, steps: int) -> tuple[float, float]:
        """Seconds of so many steps, from an idle device to an idle device, and what share of them the loop waited for
        data, as it logs it."""
        began = settled(self.device)
        for _ in range(steps):
            self._step()
        seconds, done = settled(self.device) - began, self.trainer.done
        self.trainer.done = replace(done, seconds=done.seconds + seconds)
        return seconds, self._pace.reading(self.trainer.done)["stall"]

    def _step(self) -> None:
        """One step, its losses read as the loop reads them."""
        trainer = self.trainer
        names, losses = trainer.step(next(self._batches))
        trainer.done = replace(trainer.done, step=trainer.done.step + 1)
        trainer.readings.put(Step(trainer.done, 0.0, []), names, losses)
        for _, read in trainer.readings.arrived():
            self.loss = read["total"]


def feeds(trainer: Trainer, feed: str) -> Iterator[list[dict[str, Any]]]:
    """Steps' micro-batches without end: the loop's own, the bare loader's, or the same ones again and again."""
    if feed == "fixed":
        several = [[moved(part, trainer.ranks.device) for part in parts]
                   for parts in itertools.islice(iter(bare_loader(trainer)), 4)]  # fmt: skip
        return itertools.cycle(several)
    if feed == "loader":
        epochs = itertools.chain.from_iterable(bare_loader(trainer) for _ in itertools.count())
        return ([moved(part, trainer.ranks.device) for part in parts] for parts in epochs)
    return trainer.batches()


class ViewsByReaders(TrainingStream):
    """A stream whose readers make what the method sees, as the field's loaders do: floats go to the device."""

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        # pyrefly: ignore[bad-argument-type]  # views ask the method nothing
        made = DeviceBatches(self.data, nn.Identity(), self.store.front_end)
        for parts in super().__iter__():
            yield [part | made.views(part) for part in parts]


def views_by_readers(trainer: Trainer) -> None:
    trainer.stream.__class__ = ViewsByReaders


def clips_per_second_of_readers(trainer: Trainer) -> float:
    """What the readers alone deliver, when nobody trains."""
    batches = iter(bare_loader(trainer))
    prepared = min(16, trainer.stream.steps // 2) if trainer.config.data.workers else 0
    for _ in itertools.islice(batches, prepared):
        pass
    start = time.perf_counter()
    served = sum(1 for _ in batches)
    return served * trainer.config.optim.batch_size / (time.perf_counter() - start)


def bare_loader(trainer: Trainer) -> Any:
    trainer.stream.start(0)
    return training_loader(trainer.stream)
