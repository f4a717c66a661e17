"""How the CPU threads of training wait for each other, alone and beside as many busy processes as there are cores.

    python -m benchmarks.training.threads --machine quiet        four minutes on two quiet cores

Torch's threads meet after every piece of a convolution. While one waits it can spin, which is quick where it has a
core of its own and burns the core that the other one needs where it has not; or sleep, which is the reverse.
`training run` spins 10,000 times and then sleeps. Each contender is a process of its own, since the choice
(OMP_WAIT_POLICY, GOMP_SPINCOUNT) is read once, when torch is loaded; they take turns in random order, each first alone
and then beside the busy ones. A step is one of EZ-VSL on 16 made clips. Told of each are the seconds of a step and the
CPU seconds that it used: what a step uses should not grow with what runs beside it, and what it takes should grow no
more than its share of the cores falls, twofold. Writes threads-cpu.json here.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.asked import answer_with, asked
from benchmarks.measure import record, write

POLICIES: dict[str, dict[str, str]] = {
    "spinning, as torch is": {},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spinning 1,000 times, then sleeping": {"GOMP_SPINCOUNT": "1000"},
    "spinning 10,000 times, then sleeping": {"GOMP_SPINCOUNT": "10000"},
}

Turn = dict[str, list[float]]  # seconds and CPU seconds of a step, alone and beside busy processes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="of steps, each time")
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("threads-cpu.json"))
    parser.add_argument("--steps-of", type=int, metavar="THREADS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps_of:
        take_steps(options.steps_of, options.seconds)
        return
    began = time.monotonic()
    found = report(options)
    write(options.out, found | {"seconds": round(time.monotonic() - began)})
    for row in found["rows"]:
        print(json.dumps(row))


def report(options: argparse.Namespace) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0))
    cases = [(name, threads) for name in POLICIES for threads in sorted({1, cores})]
    taken: dict[tuple[str, int], list[Turn]] = {case: [] for case in cases}
    for _ in range(options.repeats):
        for case in random.sample(cases, len(cases)):
            taken[case].append(one(*case, cores, options.seconds))
    rows = [row for case, turns in taken.items() for row in rows_of(*case, turns)]
    return record("benchmarks/training/threads.py", ["torch"], options.machine) | {
        "busy_processes": cores, "repeats": options.repeats, "rows": rows,
    }  # fmt: skip


def rows_of(policy: str, threads: int, turns: list[Turn]) -> Iterator[dict[str, Any]]:
    """A row alone and one beside the busy processes, of medians over turns."""
    alone = statistics.median(turn["alone"][0] for turn in turns)
    for name in ("alone", "beside"):
        seconds, used = (statistics.median(turn[name][what] for turn in turns) for what in (0, 1))
        yield {
            "threads wait": policy, "threads": threads, "beside busy processes": name == "beside",
            "seconds a step": round(seconds, 3), "CPU seconds a step": round(used, 3),
            "slower than alone": round(seconds / alone, 2),
        }  # fmt: skip


def one(policy: str, threads: int, busy: int, seconds: float) -> Turn:
    """A process of its own that takes steps twice: alone, and beside busy processes."""
    words = ["--steps-of", str(threads), "--seconds", str(seconds)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    with asked("benchmarks.training.threads", words, clean | POLICIES[policy]) as median_and_mean:
        median_and_mean()  # warms up
        alone = median_and_mean()
        with spinning(busy):
            beside = median_and_mean()
    return {"alone": alone, "beside": beside}


@contextlib.contextmanager
def spinning(count: int) -> Iterator[None]:
    """As many processes that do nothing but use a core."""
    running = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(count)]
    for process in running:
        process.start()
    try:
        yield
    finally:
        for process in running:
            process.terminate()
            process.join()


def _spin() -> None:
    while True:
        pass


def take_steps(threads: int, seconds: float) -> None:
    """Whenever asked, steps for so many seconds, three at least: the median of their seconds, the mean of their CPU
    seconds."""
    step = step_of(threads)

    def turn() -> list[float]:
        taken, used, began = [], time.process_time(), time.monotonic()
        while len(taken) < 3 or time.monotonic() - began < seconds:
            before = time.monotonic()
            step()
            taken.append(time.monotonic() - before)
        return [statistics.median(taken), (time.process_time() - used) / len(taken)]

    answer_with(turn)


def step_of(threads: int) -> Callable[[], None]:
    """A step of EZ-VSL on this many threads."""
    import torch

    from training.config import Encoder, Encoders
    from training.methods import method_config, method_module

    torch.set_num_threads(threads)
    encoder = Encoder(blocks=(1, 1), width=32, weights="none")
    method = method_module("ezvsl").Method(method_config("ezvsl", {}), Encoders(image=encoder, audio=encoder))
    method = method.to(memory_format=torch.channels_last)  # pyrefly: ignore[no-matching-overload]
    batch = {"image": torch.randn(16, 3, 96, 96), "audio": torch.randn(16, 1, 129, 150)}

    def step() -> None:
        method.zero_grad()
        method.loss(batch)["total"].backward()

    return step


if __name__ == "__main__":
    main()
