"""The whole training loop: one process or many (torchrun), the same losses with the same number of threads each.

It takes the steps of `optimiser_step.py`, one after another, from wherever the last checkpoint left off; logs, saves
and scores between them; and ends where it is asked to, where a step is no number, or where all is done.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from manifests.errors import InputError, Interrupted, Saved, WorkFailed
from pipeline.console import progress
from training.config import RunConfig
from training.data.stream import TrainingStream
from training.data.tar_hashes import TarHashes
from training.distributed import Ranks, is_lost_connection
from training.encoders.batch_norm import synchronise
from training.loop.checkpoint import LAST, Checkpoints, Progress
from training.loop.device_batches import DeviceBatches
from training.loop.feed import Feed
from training.loop.metrics_log import MetricsLog
from training.loop.not_finite import Signs, Skipping, not_finite
from training.loop.optimiser import build_optimiser, learning_rate
from training.loop.optimiser_step import OptimiserStep, learns
from training.loop.pace import Pace
from training.loop.readings import Readings, Step
from training.loop.room import room_for_clips
from training.loop.stopping import ASKED, PATIENCE, Broken, StopRequest
from training.loop.training_pass import TrainingPass
from training.methods.contract import BaseMethod
from training.run_folders.files import CHECKPOINTS, WEIGHTS
from training.run_folders.identity import Contents, carried
from training.runs import write_weights

NOTICED = 1.0  # seconds for which what is interrupted has gone on, where that is worth a word


@dataclass
class Trainer:
    """Everything a run holds while it trains."""

    config: RunConfig
    folder: Path
    method: BaseMethod
    stream: TrainingStream
    ranks: Ranks
    contents: Contents  # what lies at the config's places
    stop: StopRequest = field(default_factory=StopRequest)
    after_epoch: Callable[[BaseMethod, int], None] | None = None  # of the first rank, with the steps done
    run: dict[str, Any] = field(init=False)  # what checkpoints and weights carry of it
    optimiser_step: OptimiserStep = field(init=False)
    done: Progress = field(default_factory=Progress)
    _log: MetricsLog | None = field(init=False)

    def __post_init__(self) -> None:
        optim = self.config.optim
        # pyrefly: ignore[no-matching-overload]  # torch's own stub lacks memory_format
        self.method.to(self.ranks.device, memory_format=torch.channels_last)
        self.total_steps = optim.epochs * self.stream.steps if learns(self.method) else 0
        if optim.batch_norm == "synchronised" and optim.negatives == "local":
            synchronise(self.method, self.ranks.device)
        self.run = carried(self.config, self.contents)
        optimiser = build_optimiser(self.method, optim)
        self.checkpoints = Checkpoints(self.folder / CHECKPOINTS, self.run)
        self.done = self.checkpoints.load(self.method, optimiser, self.total_steps)
        self._tars = TarHashes(self.stream.store, self.stream.selected.nonzero()[0])
        self._skipping, self._saved = Skipping(optim.not_finite, self.folder, self.ranks), self.done.step
        batches = DeviceBatches(self.config.data, self.method, self.stream.store.front_end)
        self.optimiser_step = OptimiserStep(
            self.config, self.method, optimiser, self.ranks, self.stream.replicas, batches, self._skipping
        )
        self.clips = TrainingPass(self.stream, self.method, self.config.data, self.ranks)
        self.readings, self._log, self.resident_bytes, self._said = Readings(), None, 0, ""
        self._pace, self._doing = Pace(optim.batch_size, self.ranks.device, self.done), ("", time.monotonic())

    def train(self) -> None:
        """Run to the last step, from wherever the checkpoint left off, and write the weights.

        Interrupted when a signal came: then all is saved.
        """
        self.ranks.agree(self.done.step, "checkpoint")
        self.method.train()
        self.stop.training = True
        log = MetricsLog(self.folder, self.done.step, self.total_steps) if self.ranks.first else nullcontext()
        with log as self._log:
            try:
                self._train_on()
            except Broken:
                self._save_and_stop("is saved" if self.ranks.first else "is left to its first process to save")
        if self.ranks.first:
            write_weights(self.folder / WEIGHTS, self.method, self.run)
        self.ranks.barrier()

    def _train_on(self) -> None:
        self._end_epoch()  # of the epoch a resumed run had just ended
        self._saved_at = last_step_end = time.monotonic()
        with progress(f"training {self.config.name}", self.total_steps, "steps", self.done.step) as advance:
            for parts in self._pace.over(self._awaited()):
                rate, names, losses = self._learning_rate(self.done.step), *self._step_of_all(parts)
                now = time.monotonic()
                self.done = self.done.after_step(now - last_step_end, skipped := self._skipping.skipped)
                last_step_end = now
                self.readings.put(Step(self.done, rate, _keys(parts), skipped), names, losses)
                self._record(self.readings.arrived())
                self._end_epoch()
                self._stop_if_asked()
                last_step_end += time.monotonic() - now  # validation and saving are no training time
                if now - self._saved_at > 60 * self.config.checkpoint_minutes:
                    self.save()
                advance(1, self._said)
        self.save()

    def _awaited(self) -> Iterator[list[dict[str, Any]]]:
        """The batches, each waited for until a signal comes. Broken then."""
        batches = self.batches()
        patience = PATIENCE if self.ranks.world > 1 else 0.0
        while self.done.step < self.total_steps:
            self._does(f"it waited for clips of {self.stream.store.folder}")
            with self.stop.breakable(patience):
                parts = next(batches)
            yield parts
        next(batches, None)  # what is left to do of them

    def _step_of_all(self, parts: list[dict[str, Any]]) -> tuple[list[str], Tensor]:
        """A step; Broken, as if it had not begun, where this process and those it waits for were asked to stop."""
        try:
            return self.step(parts)
        except RuntimeError as error:
            if not (is_lost_connection(error) and self.stop.name):
                raise
            self._skipping.put_back(self.method)
            self._does("another of its processes waited for clips", time.monotonic() - PATIENCE)
            raise Broken from error

    def _does(self, what: str, since: float | None = None) -> None:
        """Note what a signal may interrupt, and since when that goes on."""
        self._doing = what, time.monotonic() if since is None else since

    def _record(self, read: Iterable[tuple[Step, dict[str, float]]]) -> None:
        """Log the steps whose losses are known now. WorkFailed at one whose loss or gradient is no number."""
        for step, losses in read:
            self._said = f"loss {losses['total']:.4g}"
            self.stop.told(losses.pop(ASKED, 0.0), step.done.step, self.ranks.device.type == "cuda")
            signs = Signs.taken_from(losses, self.ranks)
            if step.skipped:
                self._skipping.note(step.done.step, losses["total"], step.keys)
            elif not signs.finite:
                raise not_finite(self.folder, self.ranks, step, signs)
            elif self._log is not None and self._is_logged(step.done.step):
                epoch, pace = (step.done.step - 1) // self.stream.steps, self._pace.reading(step.done)
                self._log.write(step.done, epoch, losses, step.learning_rate, pace)

    def _stop_if_asked(self) -> None:
        """Interrupted, after saving, at the step that all processes know of."""
        if not self.stop.is_due(self.done.step) or self.done.step == self.total_steps:
            return
        self._does("")
        self._save_and_stop("is saved")

    def _save_and_stop(self, saved: str) -> NoReturn:
        """Interrupted, when all that is done is saved; the sentence names what was interrupted."""
        what, since = self._doing
        meanwhile = f" while {what}" if what and time.monotonic() - since > NOTICED else ""
        if not self.done.step:
            raise Interrupted(f"{self.stop.reason} came{meanwhile} before the first step: there was nothing to save.")
        self.save()
        raise Saved(
            f"the run was asked to stop by {self.stop.reason}{meanwhile} and {saved} at step {self.done.step:,} of "
            f"{self.total_steps:,} ({self.checkpoints.folder / LAST}). The same command goes on from there."
        )

    def _end_epoch(self) -> None:
        """Save what an epoch has made, then score it. Broken where a signal comes meanwhile."""
        if not self.done.step or self.done.step % self.stream.steps:
            return
        self.save()
        self._stop_if_asked()
        if self.after_epoch is not None:
            self._does("it scored the epoch")
            with self.stop.breakable():
                self.after_epoch(self.method, self.done.step)

    def _is_logged(self, step: int) -> bool:
        return step % self.config.log_every == 0 or step % self.stream.steps == 0 or step == 1

    def save(self) -> None:
        """Checkpoint on the first rank; the other ranks hold the same parameters."""
        self._record(self.readings.rest())  # no weights are kept that a step without a number has spoilt
        if self.ranks.first and self._saved != self.done.step:
            self.checkpoints.save(self.method, self.optimiser_step.optimiser, self.done)
            if self._log is not None:
                self._log.saved(self.done.step)
        self._saved, self._saved_at = self.done.step, time.monotonic()

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """Every remaining step's micro-batches of this rank, epoch after epoch."""
        if self.ranks.first and self.total_steps:
            self._tars.start()
        if self.done.step < self.total_steps:
            yield from self._epochs()
        if self.ranks.first and self.total_steps:
            self._tars.finish()

    def _epochs(self) -> Iterator[list[dict[str, Any]]]:
        room = room_for_clips(self.config, self.ranks, self.stream, self.method)
        feed = Feed(self.stream, self.config.compute, self.optimiser_step.batches, self.optimiser_step.autocast, room)
        if self.ranks.first:
            print(*feed.remarks, sep="\n", end="\n" if feed.remarks else "", flush=True)
        self.resident_bytes, self.clips.kept = feed.resident_bytes, feed.kept
        while self.done.step < self.total_steps:
            epoch, first_step = divmod(self.done.step, self.stream.steps)
            self.stream.start(epoch, first_step)
            self.method.before_epoch(epoch, self.clips)
            yield from feed
            if self.done.step < (epoch + 1) * self.stream.steps:
                raise WorkFailed(
                    f"the shards ended at step {self.done.step} of epoch {epoch}, {self.stream.steps} were expected: "
                    "the tars no longer match manifest.parquet. Run `pipeline ingest` again."
                )
            self._tars.tell()

    def step(self, parts: list[dict[str, Any]]) -> tuple[list[str], Tensor]:
        """The next step over this rank's micro-batches: the losses' names and means, and what travels beside them."""
        asked = self.stop.as_loss(self.ranks.device)
        return self.optimiser_step(self.done.step, self._learning_rate(self.done.step), parts, {ASKED: asked})

    def _learning_rate(self, step: int) -> float:
        return learning_rate(self.config.optim, step, self.total_steps)


def _keys(parts: list[dict[str, Any]]) -> list[str]:
    return [key for part in parts for key in part["key"]]


def check_replicas(config: RunConfig, world: int) -> None:
    """Every process must serve the same number of replicas, and those whose statistics are joined at the same time."""
    optim = config.optim
    if optim.replicas % world:
        raise InputError(
            f"optim.replicas is {optim.replicas}, which {world} processes cannot share equally; "
            f"set it to a multiple of {world}."
        )
    if optim.batch_norm == "synchronised" and optim.negatives == "local" and optim.replicas != world:
        raise InputError(
            f"optim.batch_norm=synchronised with optim.negatives=local needs a process for each replica: there are "
            f"{optim.replicas} replicas and {world} processes. Start {optim.replicas} processes with torchrun, or set "
            "optim.negatives=global."
        )
