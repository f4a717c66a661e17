"""Samples per second of EZ-VSL at full size: each switch, each feed, and the way the field trains.

Every figure is a rate between two moments at which the device was asked to be done. `fixed` feeds the step with uint8
frames and float16 sounds that lie on the device already: what a feed can reach at best.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from benchmarks.step.corpus import write_loose, write_shards
from benchmarks.step.fed import Fed, clips_per_second_of_readers, feeds, views_by_readers
from benchmarks.step.limits import PAIR_FLOP
from benchmarks.step.reference import AsTheField
from benchmarks.step.runs import EZVSL, described, trainer_of
from benchmarks.step.sizes import Sizes
from benchmarks.step.timing import seconds_of, settled
from index.encoders.residual import StemConvolution
from training.distributed import repeatable_arithmetic
from training.loop import readings
from training.loop.trainer import Trainer

COMPILED = {"compile": "always"}


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    shards = write_shards(folder / "shards", sizes)
    note(clips=sizes.clips, workers=sizes.workers)
    rates = Rates(sizes, shards, device, note)
    rates.add_all(FIRST)
    if device == "cuda":
        rates.add_all(COMPILED_ONES)
        note(compiled_twice=[losses_of_first_steps(rates, 12) for _ in range(2)])
    note(profile=profile(rates.trainer(compute=COMPILED if device == "cuda" else {}), device))
    note(as_the_field={"samples_per_second": round(as_the_field(sizes, folder / "loose", device), 1)})
    rates.add_all(LAST)
    note(readers_alone=round(clips_per_second_of_readers(rates.trainer())))
    note(parts_of_a_step=parts_of_a_step(rates.trainer(), device))


def losses_of_first_steps(rates: "Rates", steps: int) -> list[float]:
    """Of a compiled run from its first weights: twice the same to the last bit, if steps can be repeated."""
    trainer = rates.trainer(compute=COMPILED)
    taken = [trainer.step(parts)[1][0] for parts in itertools.islice(feeds(trainer, "fixed"), steps)]
    return [float(loss) for loss in taken]


class Rates:
    """Measures contenders one after the other, and notes each at once."""

    def __init__(self, sizes: Sizes, shards: Path, device: str, note: Callable[..., None]) -> None:
        self.sizes, self.shards, self.device, self.note = sizes, shards, device, note
        self.found: dict[str, dict[str, object]] = {}

    def trainer(self, **sections: dict[str, Any]) -> Trainer:
        """EZ-VSL in bfloat16 unless the sections say otherwise, before its first step."""
        optim = {"precision": "bfloat16", "epochs": 1000, **sections.pop("optim", {})}
        data = {"workers": self.sizes.workers, **sections.pop("data", {})}
        compute = {"compile": "never", **sections.pop("compute", {})}
        config = described(self.sizes, self.shards, EZVSL, optim=optim, data=data, compute=compute, **sections)
        trainer = trainer_of(config, self.device, self.shards.parent / "run")
        trainer.method.train()
        return trainer

    def add_all(self, contenders: dict[str, dict[str, Any]]) -> None:
        for name, how in contenders.items():
            self.add(name, **how)

    def add(
        self,
        name: str,
        feed: str,
        switch: Callable[[], Any] | None = None,
        change: Callable[[Trainer], None] = lambda trainer: None,
        **sections: dict[str, Any],
    ) -> None:
        """One contender: how it is fed, a switch that holds while it runs, a change to its trainer."""
        compute = {**sections.pop("compute", {}), "resident": "auto" if feed == "resident" else "never"}
        with (switch or nothing)():
            start = settled(self.device)
            trainer = self.trainer(compute=compute, **sections)
            change(trainer)
            fed = Fed(trainer, feed)
            # readers have batches ready by then, which tell nothing of their speed
            fed.advance(self.sizes.warm_up + (4 * self.sizes.workers if feed in ("streamed", "loader") else 0))
            began = settled(self.device)
            seconds, stall = fed.advance(self.sizes.timed_steps)
        batch = trainer.config.optim.batch_size
        rate = self.sizes.timed_steps * batch / seconds
        self.found[name] = {
            "samples_per_second": round(rate, 1),
            "ms_per_step": round(1000 * batch / rate, 2),
            "tflop_per_s": round(rate * PAIR_FLOP / 1e12, 1),
            "waited_for_data": stall,
            "start_s": round(began - start, 1),
            "last_loss": fed.loss,  # a rate at which nothing is learnt counts for nothing
        }
        if self.device == "cuda":
            self.found[name]["memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
            del trainer, fed
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        self.note(rates=self.found)


def parts_of_a_step(trainer: Trainer, device: str) -> dict[str, float]:
    """Milliseconds: the views alone, forward, forward and backward, the optimiser."""
    (part,) = next(feeds(trainer, "fixed"))
    batch = trainer.optimiser_step.batches(part)

    def forward() -> torch.Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return trainer.optimiser_step.model(batch)["total"]

    times = {
        "views": seconds_of(lambda: trainer.optimiser_step.batches(part), device),
        "forward": seconds_of(forward, device),
        "forward_and_backward": seconds_of(lambda: forward().backward(), device),
        "optimiser": seconds_of(trainer.optimiser_step.optimiser.step, device),
    }
    return {name: round(1000 * seconds, 3) for name, seconds in times.items()}


def profile(trainer: Trainer, device: str) -> list[dict[str, object]]:
    """The kernels that take most of three steps."""
    activities = [torch.profiler.ProfilerActivity.CPU] + (
        [torch.profiler.ProfilerActivity.CUDA] if device == "cuda" else []
    )
    batches = feeds(trainer, "fixed")
    for parts in itertools.islice(batches, 3):
        trainer.step(parts)
    settled(device)
    with torch.profiler.profile(activities=activities) as seen:
        for parts in itertools.islice(batches, 3):
            trainer.step(parts)
        settled(device)
    averages = sorted(seen.key_averages(), key=lambda one: one.self_device_time_total, reverse=True)
    return [{"kernel": one.key[:110], "calls": one.count, "ms": round(one.self_device_time_total / 1000, 3)}
            for one in averages[:28]]  # fmt: skip


def as_the_field(sizes: Sizes, folder: Path, device: str) -> float:
    """The reference's samples per second from loose files."""
    write_loose(folder, sizes)
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = True, False  # torch's own settings
    prepared = sizes.warm_up + 2 * sizes.workers  # batches that the readers make while others warm up are not counted
    steps = max(3, sizes.timed_steps // 2)
    field = AsTheField(folder, (prepared + steps) * sizes.batch, sizes, device)
    field.advance(prepared)
    seconds, _ = field.advance(steps)
    repeatable_arithmetic()
    return steps * sizes.batch / seconds


# --- switches --------------------------------------------------------------------------------------------------------


@contextmanager
def nothing() -> Iterator[None]:
    yield


@contextmanager
def losses_at_once() -> Iterator[None]:
    with patch.object(readings, "BEHIND", 0):
        yield


def stem_as_convolution(trainer: Trainer) -> None:
    for part in trainer.method.modules():
        if isinstance(part, StemConvolution):
            part.forward = partial(nn.Conv2d.forward, part)


def plain_optimiser(trainer: Trainer) -> None:
    step = trainer.optimiser_step
    groups = [{name: group[name] for name in ("params", "rate")} for group in step.optimiser.param_groups]
    step.optimiser = torch.optim.Adam(groups, lr=1e-4, foreach=False, fused=False)


def channels_first(trainer: Trainer) -> None:
    # pyrefly: ignore[no-matching-overload]  # torch's own stub lacks memory_format
    trainer.method.to(memory_format=torch.contiguous_format)
    step = trainer.optimiser_step
    views = step.batches

    def contiguous(part: dict[str, Any]) -> dict[str, Any]:
        batch = views(part)
        return batch | {
            name: batch[name].contiguous(memory_format=torch.contiguous_format) for name in ("image", "audio")
        }

    step.batches = contiguous  # pyrefly: ignore[bad-assignment]  # called alike


# --- contenders ------------------------------------------------------------------------------------------------------

FIRST: dict[str, dict[str, Any]] = {"fixed": {"feed": "fixed"}, "resident": {"feed": "resident"}}
COMPILED_ONES: dict[str, dict[str, Any]] = {
    "compiled, fixed": {"feed": "fixed", "compute": COMPILED},
    "compiled, resident": {"feed": "resident", "compute": COMPILED},
    "compiled, streamed": {"feed": "streamed", "compute": COMPILED},
    "compiled, resident, losses read at once": {"feed": "resident", "compute": COMPILED, "switch": losses_at_once},
}
LAST: dict[str, dict[str, Any]] = {
    "streamed": {"feed": "streamed"},
    "fixed, optimiser in a loop": {"feed": "fixed", "change": plain_optimiser},
    "fixed, channels first": {"feed": "fixed", "change": channels_first},
    "fixed, stem as a convolution": {"feed": "fixed", "change": stem_as_convolution},
    "streamed, views made by the readers": {"feed": "streamed", "change": views_by_readers},
    "streamed, copied in the step": {"feed": "loader"},
    "fixed, float32": {"feed": "fixed", "optim": {"precision": "float32"}},
}
