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

from training.methods import method_module, method_names
from training.methods.contract import BaseMethod

CONFIG = """
name: {name}
method: {{{method}}}
data: {{shards: {shards}, image_size: 32, shuffle: 8}}
encoders:
  image: {{blocks: [1, 1], width: 8, weights: none}}
  audio: {{blocks: [1, 1], width: 8, input_pool: [4, 3]}}
optim: {{epochs: 4, batch_size: 16, replicas: 2, learning_rate: 1.0e-3}}
checkpoint_minutes: 1.0e-6
log_every: 1
{more}
"""
STEPS = 3  # an epoch
METHODS = {
    "dsol": "name: dsol, dimension: 16, clusters: 4, passes: 1",
    "dsol_mixtures": "name: dsol_mixtures, dimension: 16, clusters: 4",
    "coarse_to_fine": "name: coarse_to_fine, classes: 4, labels: clusters, hidden: 16, dimension: 8",
    "coarse_to_fine_stage2": "name: coarse_to_fine, stage: 2, classes: 4, labels: clusters, hidden: 16, dimension: 8",
    "fnac": "name: fnac, dimension: 16, warmup_epochs: 2",
    "slavc": "name: slavc, dimension: 16",
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
    assert hooked() == {line.partition(",")[0].removeprefix("name: ") for line in METHODS.values()}


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
        more = f"init_from: {folder / 'whole' / EARLIER[name]}" if name in EARLIER else ""
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(CONFIG.format(name=name, method=method, shards=shards, more=more))
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
