"""How the CPU threads of training wait for each other, alone and beside as many busy processes as there are cores.

    python -m benchmarks.training.threads --repeats 3

Torch's threads meet after every piece of a convolution. While one waits it can spin, which is quick where it has a
core of its own and burns the core that the other one needs where it has not; or sleep, which is the reverse. Each
contender is a process of its own, since the choice (OMP_WAIT_POLICY, GOMP_SPINCOUNT) is read once, when torch is
loaded; they take turns in random order. A step is one of EZ-VSL on 16 made clips. Writes threads-cpu.json here.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import ROOT, record, write

POLICIES: dict[str, dict[str, str]] = {
    "spinning, as torch is": {},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spinning 1,000 times, then sleeping": {"GOMP_SPINCOUNT": "1000"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--step-of", type=int, metavar="THREADS", help="take the steps here and print their seconds")
    options = parser.parse_args()
    if options.step_of:
        print(*step_seconds(options.step_of, options.steps))
        return
    write(Path(__file__).with_name("threads-cpu.json"), report(options))


def report(options: argparse.Namespace) -> dict[str, object]:
    cores = len(os.sched_getaffinity(0))
    cases = [(name, threads, busy) for name in POLICIES for threads in (1, cores) for busy in (0, cores)]
    taken: dict[tuple[str, int, int], list[float]] = {case: [] for case in cases}
    for _ in range(options.repeats):
        for case in random.sample(cases, len(cases)):
            taken[case].append(one(*case, options.steps))
    rows = [
        {
            "threads wait": name,
            "threads": threads,
            "busy processes": busy,
            "seconds a step": [round(each, 3) for each in seconds],
            "median": round(statistics.median(seconds), 3),
        }
        for (name, threads, busy), seconds in taken.items()
    ]
    return record("benchmarks/training/threads.py", ["torch"], options.machine) | {"steps": options.steps, "rows": rows}


def one(policy: str, threads: int, busy: int, steps: int) -> float:
    """Median seconds of a step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training.threads", "--step-of", str(threads), "--steps", str(steps)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    with spinning(busy):
        done = subprocess.run(
            command, cwd=ROOT, env=clean | POLICIES[policy], capture_output=True, text=True, check=True
        )
    return statistics.median(map(float, done.stdout.split()[2:]))  # the first two warm up


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


def step_seconds(threads: int, steps: int) -> list[float]:
    import torch

    from training.config import Encoder, Encoders
    from training.methods import method_config, method_module

    torch.set_num_threads(threads)
    encoder = Encoder(blocks=(1, 1), width=32, weights="none")
    method = method_module("ezvsl").Method(method_config("ezvsl", {}), Encoders(image=encoder, audio=encoder))
    method = method.to(memory_format=torch.channels_last)  # pyrefly: ignore[no-matching-overload]
    batch = {"image": torch.randn(16, 3, 96, 96), "audio": torch.randn(16, 1, 129, 150)}
    seconds = []
    for _ in range(steps):
        began = time.monotonic()
        method.zero_grad()
        method.loss(batch)["total"].backward()
        seconds.append(time.monotonic() - began)
    return seconds


if __name__ == "__main__":
    main()
