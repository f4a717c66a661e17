"""The script that measures a GPU runs as it is on a CPU, small: no part of it fails for the first time on a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from training.methods import method_names

PARTS = ("machine", "speed", "evaluation", "neighbours", "steps", "losses")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_dry_run_of_the_gpu_check(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu.check",
        "--device",
        "cpu",
        "--dry",
        "--out",
        out,
        "--parts",
        *PARTS,
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    parts = json.loads(out.read_text())["parts"]
    assert {name: part["ended"] for name, part in parts.items()} == dict.fromkeys(PARTS, "whole")
    assert parts["losses"]["float32"]["within"]
    assert parts["losses"]["float32"]["largest_relative_difference"]["out of GPU memory"] == 0
    assert parts["losses"]["bfloat16"]["seeds"] == 3
    assert parts["evaluation"]["within"]
    for name in method_names():  # none is left out
        of_method = parts["steps"][name]
        assert set(of_method) == {"float32", "bfloat16"}, of_method
        assert all(each.get("fine") or each == {"learns": False} for each in of_method.values()), of_method
    assert all(rate["samples_per_second"] > 0 for rate in parts["speed"]["rates"].values())
    assert parts["neighbours"]["torch_cpu"]["recall"] == 1


@pytest.mark.slow
def test_a_part_that_takes_too_long_is_stopped_and_what_it_found_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    command = [sys.executable, "-m", "benchmarks.gpu.check", "--device", "cpu", "--dry", "--out", out,
               "--seconds", "14", "--parts", "steps", "losses"]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    parts = json.loads(out.read_text())["parts"]
    assert parts["steps"]["ended"].startswith("stopped at its limit of")
    assert parts["losses"] == {"left_out": "no time was left"}
