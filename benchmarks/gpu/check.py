"""Everything this project promises of a GPU, tried and measured in one command of at most eight minutes.

    python -m benchmarks.gpu.check                              on a machine with a GPU
    python -m benchmarks.gpu.check --device cpu --dry           the same script, small, where there is none

Needs the checkout and the packages that training imports, no network, no videos, no FAISS. Each part runs in a
process of its own under a limit of its own, and its figures are written as they come: what an interrupted check has
found still counts. Writes check.json beside this file; where speed was measured, with a summary of its rates: each
switch by its ratio, the shares of the limits, what each feed costs, and every goal, reached or not. Exit code 1 when a
part failed, or its tests did; 2 where there is no such device.

    machine     what copies and matrix products this GPU does in a second: the ceilings of what follows
    speed       samples per second: each switch by its own ratio, and against the way the field trains
    evaluation  maps of the GPU against the CPU's, and how many clips a second
    neighbours  search on the GPU against the CPU's neighbours
    tests       the tests marked `gpu`
    steps       training steps of every method in float32, in bfloat16, and compiled
    losses      EZ-VSL in float32 against the CPU, in bfloat16 against float32, repeated, out of GPU memory
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.gpu.summary import summary
from benchmarks.measure import hardware, write
from benchmarks.step.sizes import DRY, FULL
from benchmarks.step.verdict import lines

# seconds; the timed parts one after the other, with the machine to themselves
TIMED = {"machine": 20, "speed": 170, "evaluation": 60, "neighbours": 45}
NAME = "import torch; print(torch.cuda.get_device_name(0))"
COMPARED = {"tests": 110, "steps": 150, "losses": 120}  # beside one another on a GPU
LIMITS = TIMED | COMPARED
WHOLE = 480


def main() -> None:
    options = parse()
    if options.part:
        run_part(options)
        return
    report = Report(options, gpu_name() if options.device == "cuda" else None)
    for part in options.parts:
        if part in TIMED:
            report.add(part)
    beside = len(COMPARED) if options.device == "cuda" else 1
    with ThreadPoolExecutor(beside) as threads:
        list(threads.map(report.add, [part for part in options.parts if part in COMPARED]))
    if "speed" in report.parts:
        print(*lines(summary(report.parts)), sep="\n", flush=True)
    if failed := [part for part, found in report.parts.items() if has_failed(found)]:
        sys.exit(f"failed: {', '.join(failed)}; {options.out} says how")


def gpu_name() -> str:
    """What the GPU is called, by a process of its own, whose hold on the GPU ends with it. Exit code 2 without one."""
    asked = subprocess.run([sys.executable, "-c", NAME], capture_output=True, text=True, check=False)
    if asked.returncode:
        why = asked.stderr.strip().rpartition("\n")[2]
        print(f"torch sees no GPU here ({why}). `--device cpu --dry` tries the script without one.", file=sys.stderr)
        sys.exit(2)
    return asked.stdout.strip()


def has_failed(found: dict[str, object]) -> bool:
    """Whether a part ended by an error, or one of its tests did; one stopped at its limit has found what it found."""
    return str(found.get("ended", "")).startswith("failed") or bool(found.get("exit_code", 0))


class Report:
    """What is found part by part, written whenever one has ended."""

    def __init__(self, options: argparse.Namespace, gpu: str | None) -> None:
        self.options, self.gpu, self.started = options, gpu, time.monotonic()
        self.parts: dict[str, dict[str, object]] = {}
        self._writing = threading.Lock()

    def add(self, part: str) -> None:
        """Measure one part, within its limit and what is left of the whole check's."""
        limit = min(LIMITS[part], self.options.seconds - self._seconds())
        found = in_own_process(part, limit, self.options) if limit > 5 else {"left_out": "no time was left"}
        with self._writing:
            self.parts[part] = found
            told = {"summary": summary(self.parts)} if "speed" in self.parts else {}
            found_so_far = {"parts": self.parts, **told, "seconds": round(self._seconds(), 1)}
            write(self.options.out, head(self.options, self.gpu) | found_so_far)
            print(f"{part}: {json.dumps(found)[:2000]}", flush=True)

    def _seconds(self) -> float:
        return time.monotonic() - self.started


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--dry", action="store_true", help="small sizes, to try the script itself")
    parser.add_argument("--parts", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument("--seconds", type=float, default=WHOLE, help="limit of the whole check")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("check.json"))
    parser.add_argument("--part", choices=LIMITS, help=argparse.SUPPRESS)
    parser.add_argument("--figures", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def in_own_process(part: str, limit: float, options: argparse.Namespace) -> dict[str, object]:
    """What a part has found by its end, or by the limit."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "figures.json")
        command = [sys.executable, "-m", "benchmarks.gpu.check", "--part", part, "--figures", str(figures),
                   "--device", options.device, *(["--dry"] if options.dry else [])]  # fmt: skip
        ended = _ended(command, limit)
        found = json.loads(figures.read_text()) if figures.is_file() else {}
    return {"ended": ended, "seconds": round(time.monotonic() - started, 1), **found}


def _ended(command: list[str], limit: float) -> str:
    """How a command ended. At its limit everything that it started is ended with it."""
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        errors = running.communicate(timeout=limit)[1]
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        return f"stopped at its limit of {limit:.0f} s"
    return f"failed: {errors[-3000:]}" if running.returncode else "whole"


def run_part(options: argparse.Namespace) -> None:
    """Measure one part in this process; each figure is written when it is known."""
    found: dict[str, object] = {}

    def note(**figures: object) -> None:
        found.update(figures)
        options.figures.write_text(json.dumps(found))

    module = importlib.import_module(f"benchmarks.gpu.{options.part}")
    with tempfile.TemporaryDirectory() as folder:
        module.measure(DRY if options.dry else FULL, options.device, Path(folder), note)


def head(options: argparse.Namespace, gpu: str | None) -> dict[str, object]:
    """What the figures depend on."""
    packages = ("torch", "torchvision", "numpy", "webdataset", "pyarrow", "triton")
    return {
        "command": " ".join(["python", "-m", "benchmarks.gpu.check", *map(_without_folders, sys.argv[1:])]),
        "device": options.device,
        "gpu": gpu,
        "hardware": hardware(),
        "versions": {"python": sys.version.split()[0]} | {name: _version(name) for name in packages},
        "limits": LIMITS,
    }


def _without_folders(word: str) -> str:
    """A word of the command line; of a path its last name, since the folders are this machine's."""
    return Path(word).name if "/" in word else word


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
