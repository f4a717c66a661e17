"""The whole training loop: one process or many (torchrun), the same losses with the same number of threads each.

A step's batch is cut into `optim.replicas` equal parts with their own negatives and batch-norm statistics; each of
W processes serves replicas / W of them, one after the other. Every random number of a part comes from
(seed, step, replica), so neither the number of processes nor a kill and resume changes what is computed.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from manifests.errors import InputError, Interrupted, Saved, WorkFailed
from pipeline.console import progress
from training.config import RunConfig
from training.data.stream import TrainingStream
from training.data.tar_hashes import TarHashes
from training.distributed import Ranks, is_lost_connection
from training.encoders.batch_norm import synchronise
from training.encoders.spread import spread_trunks
from training.encoders.weights import compile_trunks
from training.loop.checkpoint import LAST, Checkpoints, Progress
from training.loop.device_batches import DeviceBatches
from training.loop.feed import Feed
from training.loop.metrics_log import MetricsLog
from training.loop.not_finite import Signs, Skipping, gradient_norm, names_of_signs, not_finite, own_losses
from training.loop.optimiser import build_optimiser, learning_rate, set_learning_rate
from training.loop.pace import Pace
from training.loop.readings import Readings, Step
from training.loop.room import room_for_clips
from training.loop.stopping import ASKED, PATIENCE, Broken, StopRequest
from training.loop.training_pass import TrainingPass
from training.loop.whole_batch import WholeBatch, share
from training.methods.contract import BaseMethod, Batch
from training.run_folders.files import CHECKPOINTS, WEIGHTS
from training.runs import write_weights
from training.settings.limits import LARGEST_SEED

NOTICED = 1.0  # seconds for which what is interrupted has gone on, where that is worth a word


class LossOf(nn.Module):
    """DistributedDataParallel only sees `forward`: this one's forward is the method's loss."""

    def __init__(self, method: BaseMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self.method.loss(batch)


@dataclass
class Trainer:
    """Everything a run holds while it trains."""

    config: RunConfig
    folder: Path
    method: BaseMethod
    stream: TrainingStream
    ranks: Ranks
    stop: StopRequest = field(default_factory=StopRequest)
    after_epoch: Callable[[BaseMethod, int], None] | None = None  # of the first rank, with the steps done
    optimiser: torch.optim.Optimizer = field(init=False)
    done: Progress = field(default_factory=Progress)
    _log: MetricsLog | None = field(init=False)

    def __post_init__(self) -> None:
        optim = self.config.optim
        # pyrefly: ignore[no-matching-overload]  # torch's own stub lacks memory_format
        self.method.to(self.ranks.device, memory_format=torch.channels_last)
        has_parameters = any(parameter.requires_grad for parameter in self.method.parameters())
        self.total_steps = optim.epochs * self.stream.steps if has_parameters else 0
        if optim.batch_norm == "synchronised" and optim.negatives == "local":
            synchronise(self.method, self.ranks.device)
        self.optimiser = build_optimiser(self.method, optim)
        self.checkpoints = Checkpoints(self.folder / CHECKPOINTS)
        self.done = self.checkpoints.load(self.method, self.optimiser, self.total_steps)
        self._tars = TarHashes(self.stream.store, self.stream.selected.nonzero()[0])
        self._skipping, self._saved = Skipping(optim.not_finite, self.folder, self.ranks), self.done.step
        self._compiled = self.config.compute.compile == "always"
        if self._compiled:
            compile_trunks(self.method)
        self.method_batch = DeviceBatches(self.config.data, self.method, self.stream.store.front_end)
        self._whole = self._over_all_replicas() if optim.negatives == "global" else None
        self.model = self._wrapped()
        self.clips = TrainingPass(self.stream, self.method, self.config.data, self.ranks)
        self.readings, self._log, self.resident_bytes, self._said = Readings(), None, 0, ""
        self._pace, self._doing = Pace(optim.batch_size, self.ranks.device, self.done), ("", time.monotonic())

    def _over_all_replicas(self) -> WholeBatch:
        """Let the trunks share a whole batch between the processes; what makes that batch."""
        spread_trunks(self.method, share(self.config, self.ranks))
        return WholeBatch(self.ranks, self.config.optim.replicas, self.method_batch, self._seed)

    def _wrapped(self) -> nn.Module:
        model = LossOf(self.method)
        if self.ranks.world == 1 or not self.total_steps:
            return model
        devices = [self.ranks.device] if self.ranks.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices)

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
            write_weights(self.folder / WEIGHTS, self.method)
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
            self.checkpoints.save(self.method, self.optimiser, self.done)
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
        feed = Feed(self.stream, self.config.compute, self.method_batch, self._autocast, room)
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
        """One optimiser step over this rank's micro-batches; the losses' names, and their means over all replicas.

        After them what tells of a request to stop, and of a step that is no number.
        """
        set_learning_rate(self.optimiser, self._learning_rate(self.done.step))
        self.optimiser.zero_grad(set_to_none=True)
        if self._compiled:  # what its trunks gave in the last step is needed no more
            torch.compiler.cudagraph_mark_step_begin()
        self._skipping.before(self.method)
        sums: dict[str, Tensor] = {}
        count = len(parts) if self._whole is None else 1
        for number, batch in enumerate(self._contrasted(parts), start=1):
            model = self.model
            with (
                nullcontext() if number == count or not isinstance(model, DistributedDataParallel) else model.no_sync()
            ):
                with self._autocast():
                    losses = self.model(batch)
                (losses["total"] / count).backward()
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach().float() / count
        beside = torch.stack([*sums.values(), self.stop.as_loss(self.ranks.device)])
        means = self.ranks.mean(torch.cat([beside, own_losses(sums["total"], self.ranks)]))
        gradient = gradient_norm(self.method)
        if self._skipping.counts(self.method, means[list(sums).index("total")], gradient):
            self.optimiser.step()
            self.method.after_step(self.done.step)
        return [*sums, ASKED, *names_of_signs(self.ranks)], torch.cat([means, gradient[None]])

    def _contrasted(self, parts: list[dict[str, Any]]) -> Iterator[Batch]:
        """What losses are over, made when it is asked for: the batch of each replica, or the whole one of all."""
        if self._whole is not None:
            yield self._whole(parts)
            return
        for replica, part in zip(self.stream.replicas, parts, strict=True):
            self._seed(replica)
            yield Batch(**self.method_batch(part))

    def _seed(self, replica: int) -> None:
        """Dropout, augmentation: all from (seed, step, replica)."""
        number = (self.config.seed * 1_000_003 + self.done.step) * 1_009 + replica
        torch.manual_seed(number % (LARGEST_SEED + 1))

    def _autocast(self) -> Any:
        enabled = self.config.optim.precision == "bfloat16"
        return torch.autocast(self.ranks.device.type, dtype=torch.bfloat16, enabled=enabled)

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
