"""The tests that need a GPU, as `pytest -m gpu` runs them; beside one another where pytest-xdist is at hand."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import ROOT
from benchmarks.step.sizes import Sizes


def measure(sizes: Sizes, device: str, folder: Path, note: Callable[..., None]) -> None:
    beside = ["-n", "4"] if importlib.util.find_spec("xdist") else []
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "--durations=5",
               *beside, "tests/training/loop", "tests/training/encoders", "tests/index"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    summary = done.stdout.strip().splitlines()
    note(command=" ".join(["python", *command[1:]]), exit_code=done.returncode, summary=summary[-1:],
         counts={word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", summary[-1])},
         details=[line for line in summary if re.match("(FAILED|ERROR|SKIPPED|E  )", line)][:40])  # fmt: skip
