"""The whole training loop: one process or many (torchrun), the same losses with the same number of threads each.

A step's batch is cut into `optim.replicas` equal parts with their own negatives and batch-norm statistics; each of
W processes serves replicas / W of them, one after the other. Every random number of a part comes from
(seed, step, replica), so neither the number of processes nor a kill and resume changes what is computed.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from manifests.errors import InputError, WorkFailed
from pipeline.console import progress
from pipeline.media.front_ends import find_front_end
from training.config import RunConfig
from training.data.augment import audio_view, colour_jitter, image_view
from training.data.stream import TrainingStream, training_loader
from training.data.views import normalise_audio, normalise_image, resized
from training.distributed import Ranks
from training.loop.checkpoint import Progress, load_checkpoint, save_checkpoint
from training.loop.metrics_log import MetricsLog
from training.loop.optimiser import build_optimiser, learning_rate, set_learning_rate
from training.methods.contract import BaseMethod, Batch
from training.runs import WEIGHTS, write_weights

CHECKPOINT = Path("checkpoints/last.pt")


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
    after_epoch: Callable[[BaseMethod, int], None] | None = None  # of the first rank, with the steps done
    optimiser: torch.optim.Optimizer = field(init=False)
    done: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        optim = self.config.optim
        # pyrefly: ignore[no-matching-overload]  # torch's own stub lacks memory_format
        self.method.to(self.ranks.device, memory_format=torch.channels_last)
        has_parameters = any(parameter.requires_grad for parameter in self.method.parameters())
        self.total_steps = optim.epochs * self.stream.steps if has_parameters else 0
        self.optimiser = build_optimiser(self.method, optim)
        self.done = load_checkpoint(self.folder / CHECKPOINT, self.method, self.optimiser)
        self.model = self._wrapped()

    def _wrapped(self) -> nn.Module:
        model = LossOf(self.method)
        if self.ranks.world == 1 or not self.total_steps:
            return model
        devices = [self.ranks.device] if self.ranks.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices)

    def train(self) -> None:
        """Run to the last step, from wherever the checkpoint left off, and write the weights."""
        log = MetricsLog(self.folder, self.done.step) if self.ranks.first else None
        self.method.train()
        self._end_epoch()  # of the epoch a resumed run had just ended
        last_save = last_step_end = time.monotonic()
        with progress(f"training {self.config.name}", self.total_steps, "steps") as advance:
            advance(self.done.step)
            for parts in self._batches():
                losses = self._step(parts)
                now = time.monotonic()
                self.done = Progress(self.done.step + 1, self.done.seconds + now - last_step_end)
                last_step_end = now
                if log is not None and self._is_logged():
                    epoch = (self.done.step - 1) // self.stream.steps
                    log.write(self.done, epoch, losses, self._learning_rate(self.done.step - 1))
                self._end_epoch()
                last_step_end += time.monotonic() - now  # validation is no training time
                if now - last_save > 60 * self.config.checkpoint_minutes:
                    self.save()
                    last_save = now
                advance(1)
        self.save()
        if self.ranks.first:
            if log is not None:
                log.close()
            write_weights(self.folder / WEIGHTS, self.method)
        self.ranks.barrier()

    def _end_epoch(self) -> None:
        if self.after_epoch is not None and self.done.step and self.done.step % self.stream.steps == 0:
            self.after_epoch(self.method, self.done.step)

    def _is_logged(self) -> bool:
        step = self.done.step
        return step % self.config.log_every == 0 or step % self.stream.steps == 0 or step == 1

    def save(self) -> None:
        """Checkpoint on the first rank; the other ranks hold the same parameters."""
        if self.ranks.first:
            save_checkpoint(self.folder / CHECKPOINT, self.method, self.optimiser, self.done)

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        """Every remaining step's micro-batches of this rank, epoch after epoch."""
        while self.done.step < self.total_steps:
            epoch, first_step = divmod(self.done.step, self.stream.steps)
            self.stream.start(epoch, first_step)
            self.method.before_epoch(epoch)
            yield from training_loader(self.stream)
            if self.done.step < (epoch + 1) * self.stream.steps:
                raise WorkFailed(
                    f"the shards ended at step {self.done.step} of epoch {epoch}, {self.stream.steps} were expected: "
                    "the tars no longer match manifest.parquet. Run `pipeline ingest` again."
                )

    def _step(self, parts: list[dict[str, Any]]) -> dict[str, float]:
        """One optimiser step over this rank's micro-batches; returns losses averaged over all replicas."""
        set_learning_rate(self.optimiser, self._learning_rate(self.done.step))
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for number, part in enumerate(parts):
            self._seed(self.stream.replicas[number])
            last = number == len(parts) - 1
            model = self.model
            with nullcontext() if last or not isinstance(model, DistributedDataParallel) else model.no_sync():
                batch = self._to_device(part)
                with self._autocast():
                    losses = self.model(batch)
                (losses["total"] / len(parts)).backward()
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach().float() / len(parts)
        means = self.ranks.mean(sums)
        if not math.isfinite(means["total"]):
            raise WorkFailed(
                f"the loss became {means['total']} at step {self.done.step + 1}; lower optim.learning_rate or train in "
                "float32. The last checkpoint is from before."
            )
        self.optimiser.step()
        self.method.after_step(self.done.step)
        return means

    def _seed(self, replica: int) -> None:
        """Dropout, augmentation: all from (seed, step, replica)."""
        torch.manual_seed((self.config.seed * 1_000_003 + self.done.step) * 1_009 + replica)

    def _autocast(self) -> Any:
        enabled = self.config.optim.precision == "bfloat16"
        return torch.autocast(self.ranks.device.type, dtype=torch.bfloat16, enabled=enabled)

    def _to_device(self, part: dict[str, Any]) -> dict[str, Any]:
        """Float tensors on the device, augmented there."""
        device, data = self.ranks.device, self.config.data
        own = self._moved(part)
        batch = {"key": part["key"], **self._views(own, data.image_policy, data.audio_policy)}
        if "neighbours" in part:
            batch["neighbours"] = self._views(self._moved(part["neighbours"]), data.image_policy, data.audio_policy)
        if "augmented" in self.method.needs:
            batch["augmented"] = self._views(own, *self.method.augmented_policies)
        if "exclusions" in part:
            batch["exclusions"] = {name: mask.to(device) for name, mask in part["exclusions"].items()}
        return batch

    def _moved(self, part: dict[str, Any]) -> dict[str, Tensor]:
        """Images (B, 3, image_size, image_size) uint8 and sounds (B, F, T) float16 on the device."""
        own = {name: part[name].to(self.ranks.device, non_blocking=True) for name in ("image", "audio")}
        return own | {"image": resized(own["image"], self.config.data.image_size)}

    @cached_property
    def _silence(self) -> float:
        """What the shards' front end writes where nothing sounds."""
        return find_front_end(self.stream.store.front_end).silence

    def _views(self, pixels: dict[str, Tensor], image_policy: str, audio_policy: str) -> dict[str, Tensor]:
        data = self.config.data
        image = image_view(pixels["image"], image_policy)
        if data.colour_jitter:
            image = colour_jitter(image, data.colour_jitter)
        audio = normalise_audio(audio_view(pixels["audio"], audio_policy, self._silence), data)
        # channels last: convolutions run 1.3 times faster on CPUs, more on tensor cores
        return {
            "image": normalise_image(image).contiguous(memory_format=torch.channels_last),
            "audio": audio.contiguous(memory_format=torch.channels_last),
        }

    def _learning_rate(self, step: int) -> float:
        return learning_rate(self.config.optim, step, self.total_steps)


def check_replicas(config: RunConfig, world: int) -> None:
    """Every process must serve the same number of replicas."""
    if config.optim.replicas % world:
        raise InputError(
            f"optim.replicas is {config.optim.replicas}, which {world} processes cannot share equally; "
            f"set it to a multiple of {world}."
        )
