"""Methods that do something before an epoch or after a step, in two processes, killed within an epoch and between two.

What they then have made (clusters, dictionaries, teachers, warm-ups) is what an undisturbed run makes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from runs_in_processes import losses
from safetensors.torch import load_file
from tiny_run import write_tiny

from training.methods import method_module, method_names
from training.methods.contract import BaseMethod

SECTIONS = {
    "data": {"shuffle": 8},
    "optim": {"epochs": 4, "replicas": 2, "learning_rate": 1e-3},
    "checkpoint_minutes": 1e-6,
    "log_every": 1,
}
STEPS = 3  # an epoch
COARSE_TO_FINE = {"name": "coarse_to_fine", "classes": 4, "labels": "clusters", "hidden": 16, "dimension": 8}
METHODS = {
    "dsol": {"name": "dsol", "dimension": 16, "clusters": 4, "passes": 1},
    "dsol_mixtures": {"name": "dsol_mixtures", "dimension": 16, "clusters": 4},
    "coarse_to_fine": COARSE_TO_FINE,
    "coarse_to_fine_stage2": COARSE_TO_FINE | {"stage": 2},
    "fnac": {"name": "fnac", "dimension": 16, "warmup_epochs": 2},
    "slavc": {"name": "slavc", "dimension": 16},
}
EARLIER = {"dsol_mixtures": "dsol", "coarse_to_fine_stage2": "coarse_to_fine"}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SCRIPT = Path(__file__).parents[2] / "support/runs_that_stop.py"


def hooked() -> set[str]:
    """Every method that overrides one of the hooks."""
    methods = {name: method_module(name).Method for name in method_names()}
    hooks = ("before_epoch", "after_step")
    return {
        name
        for name, method in methods.items()
        if any(getattr(method, hook) is not getattr(BaseMethod, hook) for hook in hooks)
    }


def test_every_method_with_a_hook_is_tried() -> None:
    assert hooked() == {method["name"] for method in METHODS.values()}


def trained(configs: list[Path], runs: Path, last: int = 0) -> int:
    """The launcher's exit code; in pairs of processes, stopped at a step or not."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, str(SCRIPT), str(runs), str(last), *map(str, configs)],
        check=False, env=ENVIRONMENT, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    if not last:
        assert done.returncode == 0, done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def configs(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("hooks")
    paths = []
    for name, method in METHODS.items():
        earlier = folder / "whole" / EARLIER[name] if name in EARLIER else None
        paths.append(write_tiny(folder, shards, method, name=name, init_from=earlier, **SECTIONS))
    trained(paths, folder / "whole")
    return paths


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("last", [STEPS + 2, 2 * STEPS], ids=["within an epoch", "between two"])
def test_killed_and_continued_in_two_processes_equals_undisturbed(configs, last: int, tmp_path: Path) -> None:
    whole = configs[0].parent / "whole"
    assert trained(configs, tmp_path, last) != 0
    trained(configs, tmp_path)
    for config in configs:
        (one,), (two,) = (list((runs / config.stem).iterdir()) for runs in (whole, tmp_path))
        assert losses(two) == losses(one), config.stem
        ours, theirs = (load_file(run / "weights.safetensors") for run in (two, one))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs), config.stem
