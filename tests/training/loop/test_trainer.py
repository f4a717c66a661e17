"""Training for real on small shards: resume after a kill, one process or two, and what stops a run with a reason."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from shard_maker import write_shards
from tiny_run import EZVSL, write_tiny

from manifests.errors import InputError, WorkFailed
from training.config import RunConfig, load_config
from training.loop.start import start
from training.loop.trainer import Trainer
from training.run_folders.finished import resolve_run
from training.runs import load_run
from training.settings.limits import LARGEST_SEED

from ..conftest import made_clip


@pytest.fixture
def write_config(shards: Path, knn: Path, tmp_path: Path):
    def write(*, epochs: int = 2, minutes: float = 5.0, workers: int = 0, semantic: bool = False) -> Path:
        return write_tiny(
            tmp_path,
            shards,
            method=EZVSL | ({"positives": ["own", "both"]} if semantic else {}),
            name="small",
            data={"neighbours": knn, "colour_jitter": 0.2, "shuffle": 8, "workers": workers},
            optim={"epochs": epochs, "replicas": 2, "learning_rate": 1e-3},
            checkpoint_minutes=minutes,
            log_every=1,
        )

    return write


def losses(folder: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]["total"]) for row in rows]


def test_a_run_trains_writes_everything_and_is_not_run_twice(write_config, tmp_path: Path) -> None:
    config = load_config(write_config(epochs=4))
    folder, trained = start(config, tmp_path / "runs", "cpu")
    assert trained
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "environment.json", "command.txt", "metrics.jsonl", "events", "checkpoints",
            "weights.safetensors", "data.json", "DONE"} <= names  # fmt: skip
    logged = losses(folder)
    assert [step for step, _ in logged] == list(range(1, 4 * 3 + 1))
    assert logged[-1][1] < logged[0][1]
    assert start(config, tmp_path / "runs", "cpu") == (folder, False)
    assert resolve_run(folder.parent) == folder
    run = load_run(folder)
    with torch.no_grad():
        prediction = run.method(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 257, 300))
    assert torch.isfinite(prediction.map).all()


def test_the_largest_seed_trains(write_config, tmp_path: Path) -> None:
    config = load_config(write_config(), [f"seed={LARGEST_SEED}", "optim.epochs=1"])
    assert start(config, tmp_path / "runs", "cpu")[1]


def test_semantic_positives_are_trained_from_the_neighbours(write_config, tmp_path: Path) -> None:
    folder, _ = start(load_config(write_config(epochs=1, semantic=True)), tmp_path / "runs", "cpu")
    row = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(row["loss"]) == {"total", "own", "both"}


def command(config: Path, runs: Path) -> list[str]:
    return [sys.executable, "-m", "training", "run", str(config), "--runs", str(runs), "--device", "cpu"]


@pytest.mark.slow
def test_killed_and_continued_equals_undisturbed(write_config, tmp_path: Path) -> None:
    """kill -9 in the middle of an epoch, then the same command: the same losses and the same weights."""
    path = write_config(epochs=20, minutes=1e-6, workers=1)
    undisturbed, _ = start(load_config(path), tmp_path / "whole", "cpu")
    folder = tmp_path / "cut" / undisturbed.relative_to(tmp_path / "whole")
    process = subprocess.Popen(command(path, tmp_path / "cut"), stderr=subprocess.DEVNULL)
    wait_for(lambda: (folder / "metrics.jsonl").is_file() and len(losses_so_far(folder)) > 20)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = len(losses_so_far(folder))
    assert 20 < stopped < 60
    subprocess.run(command(path, tmp_path / "cut"), check=True, capture_output=True)
    assert losses(folder) == losses(undisturbed)
    one, two = load_run(folder).method.state_dict(), load_run(undisturbed).method.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def losses_so_far(folder: Path) -> list[str]:
    return (folder / "metrics.jsonl").read_text().splitlines()


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("semantic", [False, True])
def test_two_gloo_processes_give_the_losses_of_one(write_config, tmp_path: Path, semantic: bool) -> None:
    path = write_config(epochs=3, semantic=semantic)
    alone, _ = start(load_config(path), tmp_path / "one", "cpu")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, *command(path, tmp_path / "two")[1:]], check=True, capture_output=True, env=environment)
    both = tmp_path / "two" / alone.relative_to(tmp_path / "one")
    assert [step for step, _ in losses(both)] == [step for step, _ in losses(alone)]
    for (_, one), (_, two) in zip(losses(alone), losses(both), strict=True):
        assert two == pytest.approx(one, rel=2e-4)


def test_processes_must_share_the_replicas(write_config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.loop.trainer import check_replicas

    with pytest.raises(InputError, match=r"optim\.replicas is 2, which 3 processes cannot share"):
        check_replicas(load_config(write_config()), 3)


def test_a_run_is_not_continued_on_other_shards(write_config, tmp_path: Path, capsys) -> None:
    config = load_config(write_config(epochs=1))
    folder, _ = start(config, tmp_path / "runs", "cpu")
    rng = np.random.default_rng(1)
    others = write_shards(tmp_path / "others", [made_clip(number, rng) for number in range(50)], short_side=64)
    config = load_config(write_config(epochs=1), (f"data.shards={others}",))
    other, trained = start(config, tmp_path / "runs", "cpu")
    assert trained
    assert other != folder
    assert f"new run: {folder} differs in the content of data.shards" in capsys.readouterr().out


def test_moved_shards_are_the_same_run(write_config, shards: Path, tmp_path: Path) -> None:
    config = load_config(write_config(epochs=1))
    folder, _ = start(config, tmp_path / "runs", "cpu")
    moved = shutil.copytree(shards, tmp_path / "moved")
    config = load_config(write_config(epochs=1), (f"data.shards={moved}",))
    assert start(config, tmp_path / "runs", "cpu") == (folder, False)
    assert load_config(folder / "config.yaml").data.shards == moved


def test_unfinished_and_ambiguous_runs_are_not_loaded(write_config, tmp_path: Path) -> None:
    config = load_config(write_config(epochs=1))
    folder, _ = start(config, tmp_path / "runs", "cpu")
    start(RunConfig.model_validate({**config.model_dump(), "seed": 1}), tmp_path / "runs", "cpu")
    with pytest.raises(InputError, match="holds 2 finished runs"):
        resolve_run(folder.parent)
    (folder / "DONE").unlink()
    with pytest.raises(InputError, match="not finished"):
        load_run(folder)
    with pytest.raises(InputError, match="no finished run"):
        load_run(tmp_path / "nowhere")


def test_a_run_is_continued_with_the_threads_it_was_begun_with(write_config, tmp_path: Path) -> None:
    """Sums cut by threads round otherwise: two threads' losses are not one thread's."""
    config, before = load_config(write_config(epochs=1)), torch.get_num_threads()
    folder, _ = start(config, tmp_path / "runs", "cpu")
    facts = json.loads((folder / "data.json").read_text())
    assert facts["threads"] == before
    (folder / "data.json").write_text(json.dumps(facts | {"threads": before + 1}))
    (folder / "DONE").unlink()
    try:
        start(config, tmp_path / "runs", "cpu")
        assert torch.get_num_threads() == before + 1
        assert json.loads((folder / "data.json").read_text())["threads"] == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_loss_that_is_no_number_names_its_clips(write_config, tmp_path: Path, monkeypatch) -> None:
    """The run ends at that step, nothing of it is kept, and the clips it was computed from are listed."""
    step = Trainer.step

    def spoilt(self: Trainer, parts: list) -> object:
        names, losses = step(self, parts)
        return names, losses * float("nan") if self.done.step == 2 else losses

    monkeypatch.setattr(Trainer, "step", spoilt)
    with pytest.raises(WorkFailed, match=r"the loss became nan at step 3, with the clips listed in .*not_finite_rank0"):
        start(load_config(write_config(epochs=2)), tmp_path / "runs", "cpu")
    (listed,) = (tmp_path / "runs").rglob("not_finite_rank0.txt")
    keys = listed.read_text().split()
    assert len(keys) == 16
    assert all(key.startswith("clip") for key in keys)
    assert not (listed.parent / "checkpoints" / "last.pt").exists()
    assert [number for number, _ in losses(listed.parent)] == [1, 2]
