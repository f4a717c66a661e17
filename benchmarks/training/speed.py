"""Samples per second of EZ-VSL at full size on a CPU, by what feeds the step, against the processor's own limits.

    python -m benchmarks.training.speed --machine quiet        four minutes on two quiet cores

Two ResNet-18 at stride 32, images of 224 px, spectrograms of 257 x 300, float32; the corpus is drawn. Contenders:

    fixed               the step with clips that are decoded already: what a feed can reach at best
    streamed            out of the shards, by the readers that `training run` has on a CPU unless it is told otherwise
    resident            out of memory, after one pass over the shards (compute.resident=always)
    as the field trains the reference: loose jpg and wav, PIL and scipy in a reader process per thread, torch as it is;
                        a fifth less to compute, since its spectrograms are 257 x 200

Each is a process of its own, on all cores; they take turns of one step in random order, so that what else the machine
does falls on all alike, and only one of them works at a time. Of the field's readers, which are ahead by some batches,
each turn costs one. Rates are of median turns. Before them, alone, come what the processor multiplies, convolves and
copies in a second, and what the readers deliver when nobody trains. Writes speed-cpu.json here.
"""

import argparse
import json
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.asked import answer_with, asked
from benchmarks.measure import record, write
from benchmarks.step.limits import BY_CONVOLUTIONS, PAIR_FLOP, convolutions, copies, pairs_per_second, products
from benchmarks.step.sizes import DRY, FULL, Sizes
from benchmarks.step.verdict import Goal, Plan, Switch, Way, lines, verdict
from manifests.commands.freed_memory import keep_freed_memory
from training.processes.thread_policy import POLICY

FIELD = "as the field trains"
RESIDENT = {"fixed": "never", "streamed": "auto", "resident": "always"}  # what compute.resident is for each feed
WARM_UP = 2  # turns that do not count
PLAN = Plan(
    switches=(Switch("clips in memory", on="resident", off="streamed"),),
    feeds={name: (Way(name, "fixed"),) for name in ("streamed", "resident")},
    goals=(Goal("of_tensors", 0.95), Goal("stall", 0.05, below=True)),
)


def main() -> None:
    options = parse()
    if options.asked:
        answer_with(answers(options))
        return
    began = time.monotonic()
    report = measured(options)
    write(options.out, report | {"seconds": round(time.monotonic() - began)})
    print(json.dumps(report["rates"], indent=2), *lines(report["summary"]), sep="\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: one for each core")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--turns", type=int, default=10, help="steps of each contender that count")
    parser.add_argument("--dry", action="store_true", help="small sizes, to try the script itself")
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("speed-cpu.json"))
    parser.add_argument("--asked", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def sizes_of(options: argparse.Namespace) -> Sizes:
    """An epoch that no contender comes to the end of, and so many clips more than the readers shuffle that each turn
    reads as many as it decodes; a reader process for each thread, for the field's way."""
    served = options.batch * (WARM_UP + options.turns + 1)
    whole = DRY if options.dry else FULL
    return replace(whole, batch=options.batch, clips=served + (0 if options.dry else 1000), workers=options.threads)


# --- the process that asks -------------------------------------------------------------------------------------------


def measured(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.step.corpus import write_loose, write_shards

    sizes = sizes_of(options)
    with tempfile.TemporaryDirectory() as folder:
        write_shards(Path(folder, "shards"), sizes)
        write_loose(Path(folder, "loose"), sizes)
        machine, readers = (alone(name, options, folder) for name in ("machine", "readers"))
        turns = taken_turns(options, folder)
    rates = {name: rate(own, sizes.batch) for name, own in turns.items()}
    limits = pairs_per_second(machine["multiplied"], machine["copied"], "float32")
    limits[BY_CONVOLUTIONS] = machine["convolved"] / PAIR_FLOP
    field = rates.pop(FIELD)
    del field["gflop_per_s"]  # its spectrograms are narrower
    packages = ["torch", "torchvision", "numpy", "scipy", "pillow", "webdataset"]
    return record("benchmarks/training/speed.py", packages, options.machine) | {
        "threads": options.threads, "batch": sizes.batch, "turns": options.turns, "clips": sizes.clips,
        "image_size": sizes.image_size, "matrix_products_gflop_per_s": round(machine["multiplied"] / 1e9, 1),
        "convolutions_gflop_per_s": round(machine["convolved"] / 1e9, 1),
        "copies_gb_per_s": round(machine["copied"] / 1e9, 2), "readers_alone": round(readers),
        "rates": rates, "as_the_field": field, "seconds_of_turns": {
            name: [round(turn["seconds"], 3) for turn in own] for name, own in turns.items()
        },
        "summary": verdict(rates, field["samples_per_second"], limits, PLAN),
    }  # fmt: skip


def started(name: str, options: argparse.Namespace, folder: str) -> Any:
    """A process that answers as `answers` has it, with the threads that `training run` sets up, or the field's."""
    words = ["--asked", name, "--folder", folder, "--threads", str(options.threads), "--batch", str(options.batch),
             "--turns", str(options.turns), *(["--dry"] if options.dry else [])]  # fmt: skip
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    own = {"OMP_NUM_THREADS": str(options.threads), **({} if name == FIELD else POLICY)}
    return asked("benchmarks.training.speed", words, clean | own)


def alone(name: str, options: argparse.Namespace, folder: str) -> Any:
    with started(name, options, folder) as ask:
        return ask()


def taken_turns(options: argparse.Namespace, folder: str) -> dict[str, list[dict[str, float]]]:
    """What each contender answered in each turn that counts."""
    with ExitStack() as running:
        contenders = {name: running.enter_context(started(name, options, folder)) for name in [*RESIDENT, FIELD]}
        for ask in contenders.values():
            for _ in range(WARM_UP):
                ask()
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
        for _ in range(options.turns):
            for name in random.sample(list(contenders), len(contenders)):
                taken[name].append(contenders[name]())
    return taken


def rate(turns: list[dict[str, float]], batch: int) -> dict[str, float]:
    """Of the median turn; what was waited for data is of all."""
    taken = [turn["seconds"] for turn in turns]
    seconds, waited = statistics.median(taken), sum(turn["seconds"] * turn["waited"] for turn in turns)
    return {
        "samples_per_second": round(batch / seconds, 2),
        "ms_per_step": round(1000 * seconds, 1),
        "gflop_per_s": round(batch * PAIR_FLOP / seconds / 1e9, 1),
        "waited_for_data": round(waited / sum(taken), 4),
        "last_loss": turns[-1]["loss"],
        "memory_gb": round(turns[-1]["memory_gb"], 2),
    }


# --- the processes that are asked ------------------------------------------------------------------------------------


def answers(options: argparse.Namespace) -> Callable[[], Any]:
    """What a process does whenever it is asked, by its name."""
    if options.asked == FIELD:
        return field_step(options)
    keep_freed_memory()
    if options.asked == "machine":
        return lambda: limits_of(options)
    if options.asked == "readers":
        return lambda: readers_alone(options)
    return own_step(options)


def limits_of(options: argparse.Namespace) -> Mapping[str, float]:
    """FLOP per second of matrix products and of convolutions, bytes per second of copies."""
    import torch

    side, channels = (256, 32) if options.dry else (2048, 512)
    return {
        "multiplied": products(side, "cpu", torch.float32),
        "convolved": convolutions(options.batch, channels, 14, "cpu"),
        "copied": copies(side, 32 * side, "cpu"),
    }


def trainer_of_feed(options: argparse.Namespace, resident: str) -> Any:
    """A run's trainer before its first step, as its defaults are on a CPU but for `compute.resident`."""
    from benchmarks.step.runs import EZVSL, described, trainer_of

    shards, sizes = options.folder / "shards", sizes_of(options)
    config = described(sizes, shards, EZVSL, optim={"epochs": 1000}, compute={"resident": resident})
    trainer = trainer_of(config, "cpu", options.folder / options.asked)
    trainer.method.train()
    return trainer


def readers_alone(options: argparse.Namespace) -> float:
    """Clips per second, the median of three epochs."""
    from benchmarks.step.fed import clips_per_second_of_readers

    trainer = trainer_of_feed(options, "never")
    return statistics.median(clips_per_second_of_readers(trainer) for _ in range(3))


def own_step(options: argparse.Namespace) -> Callable[[], dict[str, float]]:
    from benchmarks.step.fed import Fed

    return turn_of(Fed(trainer_of_feed(options, RESIDENT[options.asked]), options.asked))


def field_step(options: argparse.Namespace) -> Callable[[], dict[str, float]]:
    from benchmarks.step.reference import AsTheField

    sizes = sizes_of(options)  # its readers, ahead by some batches, do not come to the end either
    return turn_of(AsTheField(options.folder / "loose", 10 * sizes.clips, sizes, "cpu"))


def turn_of(contender: Any) -> Callable[[], dict[str, float]]:
    """One step of a contender that advances by steps, and the most memory that its process has held."""

    def turn() -> dict[str, float]:
        seconds, waited = contender.advance(1)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        return {"seconds": seconds, "waited": waited, "loss": contender.loss, "memory_gb": most}

    return turn


if __name__ == "__main__":
    main()
