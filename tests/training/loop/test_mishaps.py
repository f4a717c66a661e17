"""What can go wrong while a run trains: losses that are no numbers, too little memory, a full disk."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from full_disk import NOTHING_KEPT, limit_files, limited_files
from runs_in_processes import launched, losses, steps_logged, write_small
from safetensors.torch import load_file
from spoilt_method import PLACES, spoilt_config, without_gradient

from manifests.errors import WorkFailed
from training.config import RunConfig, load_config
from training.distributed import Ranks
from training.loop.checkpoint import Progress
from training.loop.metrics_log import MetricsLog
from training.loop.out_of_memory import explained
from training.loop.start import start
from training.loop.trainer import Trainer, _keys
from training.methods.ezvsl import Method
from training.runs import load_run


@pytest.fixture
def config(shards: Path, tmp_path: Path) -> Callable[..., RunConfig]:
    def load(*overrides: str) -> RunConfig:
        return load_config(write_small(tmp_path / "small.yaml", shards), overrides)

    return load


def spoilt(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[int], bool], what: str = "loss") -> None:
    """Give the batches of some steps images that are no numbers, or their finite losses a gradient that is none."""
    loss, step = Method.loss, Trainer.step
    now = [0]

    def counted(self: Trainer, parts: list) -> object:
        now[0] = self.done.step + 1
        return step(self, parts)

    def broken(self: Method, batch: dict) -> dict:
        if spoil(now[0]) and what == "gradient":
            return (made := loss(self, batch)) | {"total": without_gradient(made["total"])}
        return loss(self, batch | {"image": batch["image"] * float("nan")} if spoil(now[0]) else batch)

    monkeypatch.setattr(Trainer, "step", counted)
    monkeypatch.setattr(Method, "loss", broken)


def test_a_step_without_a_number_is_left_out_and_counted(config, tmp_path: Path, monkeypatch) -> None:
    """Neither weights nor running statistics take anything from it, and the clips are written down."""
    spoilt(monkeypatch, lambda step: step == 3)
    folder, _ = start(config("optim.not_finite=skip"), tmp_path / "runs", "cpu")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 4, 5, 6]
    assert [row.get("skipped") for row in rows] == [None, None, 1, 1, 1]
    (left_out,) = [json.loads(line) for line in (folder / "skipped_rank0.jsonl").read_text().splitlines()]
    assert left_out["step"] == 3
    assert left_out["loss"] == "nan"
    assert len(left_out["keys"]) == 16
    assert all(torch.isfinite(value).all() for value in load_run(folder).method.state_dict().values())
    assert torch.load(folder / "checkpoints/last.pt", weights_only=True)["skipped"] == 1


@pytest.mark.parametrize("bad", [5, 3, 6], ids=["within an epoch", "at an epoch's end", "at the last step"])
def test_a_gradient_without_a_number_ends_the_run_before_anything_is_saved(
    config, tmp_path: Path, monkeypatch, bad: int
) -> None:
    """Its loss is finite. The clips are of that step, and the same command without the fault goes on from before it."""
    keys = []
    with monkeypatch.context() as patched:
        spoilt(patched, lambda step: step == bad, "gradient")
        counted = Trainer.step
        patched.setattr(Trainer, "step", lambda self, parts: keys.append(_keys(parts)) or counted(self, parts))
        with pytest.raises(WorkFailed, match=rf"the gradient became nan under a loss of \d.* at step {bad}, .*rank0"):
            start(config(), tmp_path / "runs", "cpu")
    (folder,) = (path.parent for path in (tmp_path / "runs").rglob("config.yaml"))
    assert (folder / "not_finite_rank0.txt").read_text().split() == keys[-1]
    assert len(keys) == bad
    assert not (folder / "DONE").exists()
    assert not (folder / "weights.safetensors").exists()
    saved = folder / "checkpoints/last.pt"
    assert saved.exists() == (bad > 3)
    if saved.exists():
        content = torch.load(saved, weights_only=True)
        assert content["step"] == 3
        assert all(torch.isfinite(value).all() for value in content["method"].values())
    start(config(), tmp_path / "runs", "cpu")
    assert [step for step, _ in losses(folder)] == [1, 2, 3, 4, 5, 6]
    assert all(torch.isfinite(value).all() for value in load_file(folder / "weights.safetensors").values())


def test_a_gradient_without_a_number_is_left_out_too(config, tmp_path: Path, monkeypatch) -> None:
    spoilt(monkeypatch, lambda step: step == 3, "gradient")
    folder, _ = start(config("optim.not_finite=skip"), tmp_path / "runs", "cpu")
    assert [step for step, _ in losses(folder)] == [1, 2, 4, 5, 6]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "at", "processes"),
    [("loss", 5, 1), ("loss", 5, 2), ("gradient", 5, 2), ("gradient", 3, 2), ("gradient", 6, 2)],
)
def test_a_run_in_its_own_process_names_the_clips_of_those_that_had_no_number(
    shards: Path, tmp_path: Path, what: str, at: int, processes: int
) -> None:
    """Of two processes the second alone: its loss tells which one it was, the gradient, which is shared, does not."""
    config = spoilt_config(tmp_path, shards, what=what, at=at, rank=processes - 1)
    process = launched(config, tmp_path / "runs", processes=processes, environment=PLACES)
    errors = process.communicate(timeout=240)[1]
    assert process.returncode == 1, errors
    (folder,) = (path.parent for path in (tmp_path / "runs").rglob("config.yaml"))
    assert {path.name for path in folder.glob("not_finite_rank*")} == {
        f"not_finite_rank{rank}.txt" for rank in range(processes) if what == "gradient" or rank == processes - 1
    }
    named = "*" if what == "gradient" and processes == 2 else processes - 1
    became = "the loss became nan" if what == "loss" else "the gradient became nan under a loss of "
    assert f"failed: {became}" in errors
    assert f" at step {at}, with the clips listed in {folder / f'not_finite_rank{named}.txt'}; lower" in errors
    assert steps_logged(folder) == at - 1
    assert not (folder / "DONE").exists()
    assert not (folder / "weights.safetensors").exists()
    assert [torch.load(saved, weights_only=True)["step"] for saved in folder.rglob("last.pt")] == [3] * (at > 3)


def test_the_policy_belongs_to_no_run_s_identity(config, tmp_path: Path, monkeypatch) -> None:
    """A run that stopped at such a step goes on with the other policy, in its folder."""
    with monkeypatch.context() as patched:
        spoilt(patched, lambda step: step == 5)
        with pytest.raises(WorkFailed, match=r"became nan at step 5.*optim\.not_finite=skip"):
            start(config(), tmp_path / "runs", "cpu")
    spoilt(monkeypatch, lambda step: step == 5)
    folder, trained = start(config("optim.not_finite=skip"), tmp_path / "runs", "cpu")
    assert trained
    assert (folder / "not_finite_rank0.txt").exists()
    assert [step for step, _ in losses(folder)] == [1, 2, 3, 4, 6]


def test_a_run_that_only_skips_ends(config, tmp_path: Path, monkeypatch) -> None:
    spoilt(monkeypatch, lambda step: step > 3)
    with pytest.raises(WorkFailed, match=r"20 steps in a row, up to step 23, .*skipped_rank0\.jsonl"):
        start(config("optim.not_finite=skip", "optim.epochs=20"), tmp_path / "runs", "cpu")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_too_little_memory_says_what_to_lower(config, tmp_path: Path, monkeypatch, error: Exception) -> None:
    def greedy(self: Method, batch: dict) -> dict:
        raise error

    monkeypatch.setattr(Method, "loss", greedy)
    with pytest.raises(WorkFailed, match="not enough memory on this machine for a step of 16 clips in 2 parts") as told:
        start(config("data.image_size=96"), tmp_path / "runs", "cpu")
    for setting in ("optim.replicas=4", "optim.batch_size=8", "data.image_size=64"):
        assert setting in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_a_run_that_outgrows_its_memory_ends_in_words(shards: Path, tmp_path: Path) -> None:
    """A limit on addresses stands for a machine that has no more."""
    config = spoilt_config(tmp_path, shards, what="memory", at=5)
    process = launched(config, tmp_path / "runs", environment=PLACES)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (2**35, 2**35))
    errors = process.communicate(timeout=240)[1]
    assert process.returncode == 1, errors
    assert "failed: There is not enough memory on this machine for a step of 16 clips in 2 parts at 32 px." in errors
    assert "Traceback" not in errors
    (saved,) = (tmp_path / "runs").rglob("last.pt")
    assert torch.load(saved, weights_only=True)["step"] == 3
    assert steps_logged(saved.parents[1]) == 4


LOCAL = [
    "optim.replicas=4 halves what is computed at once, and with it the negatives of each clip",
    "optim.batch_size=8",
]
WHOLE = ["optim.replicas=4 halves what is computed at once, and with it the clips of its batch statistics", *LOCAL[1:]]
ANEW = "compute.recompute=always computes trunks again"


@pytest.mark.parametrize(
    ("negatives", "norm", "recompute", "world", "said"),
    [
        ("local", "local", "auto", 1, LOCAL),
        ("local", "synchronised", "auto", 2, LOCAL[1:]),
        ("global", "local", "auto", 1, WHOLE),
        ("global", "local", "auto", 2, [ANEW, *WHOLE]),
        ("global", "local", "never", 1, [ANEW, *WHOLE]),
        ("global", "synchronised", "auto", 1, [ANEW, LOCAL[1]]),
        ("global", "synchronised", "always", 1, LOCAL[1:]),
    ],
)
def test_what_is_advised_against_too_little_memory_helps(
    config, negatives: str, norm: str, recompute: str, world: int, said: list[str]
) -> None:
    """Of several parts only those that are computed one by one are a remedy, and negatives change with a batch."""
    given = (f"optim.negatives={negatives}", f"optim.batch_norm={norm}", f"compute.recompute={recompute}")
    process = Ranks(0, world, torch.device("cpu"))
    with pytest.raises(WorkFailed) as told, explained(config(*given), process, lambda: 0):
        raise MemoryError
    advice = str(told.value).partition("Try, in this order: ")[2].split("; ")
    assert len(advice) == len(said)
    assert all(one.startswith(words) for one, words in zip(advice, said, strict=True)), advice


def test_another_error_of_the_runtime_keeps_its_traceback(config, tmp_path: Path, monkeypatch) -> None:
    def wrong(self: Method, batch: dict) -> dict:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Method, "loss", wrong)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        start(config(), tmp_path / "runs", "cpu")


def write_steps(log: MetricsLog, count: int) -> None:
    for step in range(count):
        log.write(Progress(step), 0, {"total": 1.0}, 0.1, {})


def test_a_log_that_the_disk_has_no_room_for_is_a_sentence(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0, 100)
    with (
        limited_files(2_000),
        pytest.raises(WorkFailed, match=r"metrics\.jsonl cannot be written: File too large"),
    ):
        write_steps(log, 100)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [300, 3_000, 200_000])
def test_a_full_disk_is_a_sentence_and_the_run_goes_on(config, tmp_path: Path, limit: int) -> None:
    """Full of descriptions, of the log, of checkpoints."""
    config()
    line = [sys.executable, "-m", "training", "run", "small.yaml", "--device", "cpu"]
    full = subprocess.run(
        line,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | NOTHING_KEPT,
        preexec_fn=limit_files(limit),
    )
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert "cannot be written: File too large. To go on, free space and repeat the command." in full.stderr
    assert not list((tmp_path / "runs").rglob(".*.tmp*"))
    assert subprocess.run(line, cwd=tmp_path, capture_output=True, check=False).returncode == 0
