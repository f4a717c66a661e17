"""The tests that need a GPU, as `pytest -m gpu` runs them; beside one another where pytest-xdist is at hand.

Where there is none each of them is skipped, and the figures say that nothing ran. On a GPU that is a failure.
"""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import ROOT
from benchmarks.step.sizes import Sizes

NOTHING = "nothing: no test that needs a GPU was run"


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    beside = ["-n", "4"] if device == "cuda" and importlib.util.find_spec("xdist") else []
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "--durations=5",
               *beside, "tests/training/loop", "tests/training/encoders", "tests/index"]  # fmt: skip
    seen = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | seen)
    summary = (done.stdout.strip() or done.stderr.strip()).splitlines()  # without pytest there is an error alone
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", summary[-1])}
    ran = sum(count for word, count in counts.items() if word != "skipped")
    note(command=" ".join(["python", *command[1:]]), exit_code=done.returncode, summary=summary[-1:],
         counts=counts, ran=ran or NOTHING,
         details=[line for line in summary if re.match("(FAILED|ERROR|SKIPPED|E  )", line)][:40])  # fmt: skip
    if not ran and device == "cuda":
        raise RuntimeError(f"{NOTHING}: {summary[-1]}")
