"""Runs of several methods, one after another, by as many processes as torchrun starts; perhaps each stopped at a step.

    torchrun --nproc-per-node 2 tests/support/runs_that_stop.py RUNS STEP CONFIG [CONFIG ...]

STEP is the step at which every run is left as it is, nothing of it saved beyond what was; then all processes are
killed. 0 lets them end.
"""

import os
import signal
import sys
from pathlib import Path

from training.config import load_config
from training.loop.start import start
from training.loop.trainer import Trainer


class _Left(BaseException):
    """A run is over at once, as a kill ends it."""


def stop_at(last: int) -> None:
    step = Trainer.step

    def counted(self: Trainer, parts: list) -> object:
        if self.done.step == last:
            raise _Left
        return step(self, parts)

    Trainer.step = counted  # pyrefly: ignore[bad-assignment]


if __name__ == "__main__":
    runs, last = Path(sys.argv[1]), int(sys.argv[2])
    if last:
        stop_at(last)
    for config in sys.argv[3:]:
        try:
            start(load_config(Path(config)), runs, "cpu")
        except _Left:
            continue
    if last:
        os.kill(os.getpid(), signal.SIGKILL)
