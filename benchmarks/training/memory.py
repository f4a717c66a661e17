"""What it costs on a CPU that the C library gives freed memory back, and what it takes to keep it.

    python -m benchmarks.training.memory

`training` and `index` keep what is freed (manifests/commands/freed_memory.py). With and without take turns in random
order, each in a process of its own on one thread. Told of each are the CPU seconds of one turn, those of the kernel
among them, and the most memory that the process held. Writes memory-cpu.json here.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, record, write
from manifests.commands.freed_memory import ASKED, keep_freed_memory

RESNET = {"layout": "resnet", "weights": "none"}
REAL = {"layout": "efficientnet_lite0", "weights": "none"}, {"layout": "yamnet", "weights": "none"}
CASES: dict[str, dict[str, Any]] = {
    "EZ-VSL, ResNet-18 for both, a step of 32 pairs": {"image": RESNET, "audio": RESNET, "clips": 32, "trained": True},
    "the same, predicting": {"image": RESNET, "audio": RESNET, "clips": 32, "trained": False},
    "EZ-VSL, EfficientNet-Lite0 and YAMNet, predicting 64 pairs": {
        "image": REAL[0], "audio": REAL[1], "clips": 64, "trained": False,
    },
    "the same, a step of 32 pairs, both trained": {"image": REAL[0], "audio": REAL[1], "clips": 32, "trained": True},
}  # fmt: skip
TURNS = 3  # in a process, after one that is not counted


def work(image: dict[str, Any], audio: dict[str, Any], clips: int, trained: bool) -> Callable[[], Any]:
    """What one turn does: a step without its optimiser, or maps of so many pairs."""
    import torch

    from training.config import Encoder, Encoders
    from training.methods import method_config, method_module

    torch.set_num_threads(1)
    encoders = Encoders(image=Encoder(**image), audio=Encoder(**audio))
    method = method_module("ezvsl").Method(method_config("ezvsl", {}), encoders).train(trained)
    heard = (clips, 1, 64, 298) if audio["layout"] == "yamnet" else (clips, 1, 257, 300)
    batch = {"image": torch.randn(clips, 3, 224, 224), "audio": torch.randn(*heard)}

    def step() -> None:
        method.zero_grad()
        method.loss(batch)["total"].backward()

    def predicted() -> None:
        with torch.no_grad():
            method(batch["image"], batch["audio"])

    return step if trained else predicted


def turns(case: str, kept: bool) -> dict[str, float]:
    """Mean CPU seconds of a turn, those of the kernel, and the largest size of this process in GB."""
    if kept:
        keep_freed_memory()
    turn = work(**CASES[case])
    turn()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(TURNS):
        turn()
    after = resource.getrusage(resource.RUSAGE_SELF)
    kernel = (after.ru_stime - before.ru_stime) / TURNS
    own = (after.ru_utime - before.ru_utime) / TURNS
    return {"seconds": own + kernel, "kernel": kernel, "gigabytes": after.ru_maxrss / 1e6}


def one(case: str, kept: bool) -> dict[str, float]:
    """The turns of a process that is started for them."""
    words = [sys.executable, "-m", "benchmarks.training.memory", "--case", case, *(["--kept"] if kept else [])]
    clean = {name: value for name, value in os.environ.items() if name not in ASKED}
    done = subprocess.run(words, cwd=ROOT, env=clean, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def row(case: str, repeats: int) -> dict[str, Any]:
    """Medians over processes; `ratio` is the CPU time given back over that kept."""
    order = [True, False] * repeats
    random.shuffle(order)
    found: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for kept in order:
        found[kept].append(one(case, kept))
    middle = {
        kept: {name: round(statistics.median(each[name] for each in own), 3) for name in own[0]}
        for kept, own in found.items()
    }
    ratio = round(middle[False]["seconds"] / middle[True]["seconds"], 2)
    return {"case": case, "given back": middle[False], "kept": middle[True], "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("memory-cpu.json"))
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--kept", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(turns(options.case, options.kept)))
        return
    rows = [row(case, options.repeats) for case in CASES]
    write(options.out, record("benchmarks/training/memory.py", ["torch"], options.machine) | {"rows": rows})
    print(*map(json.dumps, rows), sep="\n")


if __name__ == "__main__":
    main()
