"""A run's measurements while it trains: `metrics.jsonl` first, TensorBoard events for its viewer."""

import json
import math
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Self

from manifests.errors import WorkFailed
from manifests.files.given import has_file, opened
from manifests.files.whole import NO_ROOM, told, write_text
from training.loop.checkpoint import Progress
from training.loop.pace import PACE
from training.loop.time_left import TimeLeft
from training.run_folders.files import EVENTS, LOG


class MetricsLog:
    """Appends one JSON object per logged step; steps after the resumed one are forgotten first.

    The viewer gets what `training status` says of a run of `total_steps`. To be closed, or used in a `with` statement,
    which ends as what failed inside it, if something did.
    """

    def __init__(self, folder: Path, resumed_step: int, total_steps: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._path, self._left = folder / LOG, TimeLeft(total_steps)
        kept = [line for line in _lines(self._path) if _step_of(line) <= resumed_step]
        for row in map(json.loads, kept):
            if "seconds" in row:
                self._left.note(row["step"], row["seconds"])
        write_text(self._path, "".join(f"{line}\n" for line in kept))
        self._file = self._path.open("a", encoding="utf-8", buffering=1)
        self._events = SummaryWriter(str(folder / EVENTS), purge_step=resumed_step + 1)
        self._told_before = threading.excepthook
        threading.excepthook = partial(_unless_full, self._told_before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(WorkFailed) if kind else nullcontext():
            self.close()

    def write(
        self, done: Progress, epoch: int, losses: dict[str, float], learning_rate: float, pace: dict[str, float]
    ) -> None:
        """Record one step: losses by name, learning rate, seconds spent training so far, pace since the last one, and
        skipped steps if any. WorkFailed when the disk is full.
        """
        seconds = round(done.seconds, 3)
        row = {"step": done.step, "epoch": epoch, "loss": losses, "lr": learning_rate, "seconds": seconds}
        row |= ({PACE: pace} if pace else {}) | ({"skipped": done.skipped} if done.skipped else {})
        scalars = {f"loss/{name}": value for name, value in losses.items()}
        scalars |= {f"{PACE}/{name}": value for name, value in pace.items()} | {"learning_rate": learning_rate}
        self._left.note(done.step, seconds)
        left = self._left.seconds
        scalars |= {"progress/epoch": epoch + 1} | ({} if left is None else {"progress/minutes_left": left / 60})
        with told(self._path):
            self._file.write(json.dumps(row) + "\n")
            for name, value in scalars.items():
                self._events.add_scalar(name, value, done.step)

    def saved(self, step: int) -> None:
        """Tell the viewer of a checkpoint. WorkFailed when the disk is full."""
        with told(self._path):
            self._events.add_scalar("progress/checkpoint", step, step)

    def close(self) -> None:
        """Flush and close both files. WorkFailed when the disk is full."""
        try:
            with told(self._path):
                self._file.close()
                self._events.close()
        finally:
            threading.excepthook = self._told_before


def _unless_full(tell: Callable[[threading.ExceptHookArgs], object], failure: threading.ExceptHookArgs) -> None:
    """Leave it to the next write to tell of a full disk, which the thread of the viewer's events meets by itself."""
    if not (isinstance(failure.exc_value, OSError) and failure.exc_value.errno in NO_ROOM):
        tell(failure)


def _lines(path: Path) -> list[str]:
    """Whole lines of a log; a last line cut by a kill is dropped (its step will be run again)."""
    if not has_file(path):
        return []
    with opened(path) as handle:
        text = handle.read().decode(errors="replace")
    lines = text[: text.rfind("\n") + 1].splitlines()
    if lost := sum(_step_of(line) == math.inf for line in lines):
        print(f"{lost} lines of {path} are damaged: the steps that they told of are no longer in it")
    return lines


def _step_of(line: str) -> float:
    """The step that a line tells of; of a damaged one the end of time, which is always cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
