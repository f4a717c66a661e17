"""A tar that goes away or is cut while a run reads it, and a disk that fills up under it, as processes: one sentence,
the code that stands in docs/promises.md, and equal losses once it is mended."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runs_in_processes import launched, losses, steps_logged, wait_for, write_small

from training.config import load_config
from training.loop.start import start

EPOCHS = 40  # of three steps: long enough that what happens after the first one happens in the middle
LOG = 150_000  # bytes: room for the log of these steps, and for no checkpoint
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, float]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    run, _ = start(load_config(write_small(folder / "small.yaml", shards, EPOCHS)), folder / "runs", "cpu")
    return losses(run)


@pytest.fixture
def own_shards(shards: Path, tmp_path: Path) -> Path:
    return shutil.copytree(shards, tmp_path / "shards")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of memory, of 32 MB. Skips the test where this user may mount none."""
    (disk := tmp_path / "disk").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk, and not in every container")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def ended(config: Path, runs: Path, disturb: Callable[[], object] | None = None) -> tuple[int, str]:
    """A run's exit code and the last line it said, with what happens to it after its first epoch."""
    process = launched(config, runs)
    if disturb is not None:
        wait_for(lambda: any(steps_logged(run) > 3 for run in runs.glob("*/*")), process, 300)
        disturb()
    said = process.communicate(timeout=300)[1]
    assert "Traceback" not in said
    return process.returncode, said.rstrip("\n").rpartition("\n")[2]


def check_goes_on(config: Path, runs: Path, undisturbed: list[tuple[int, float]]) -> None:
    code, said = ended(config, runs)
    assert code == 0, said
    (run,) = runs.glob("*/*")
    assert losses(run) == undisturbed


@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_a_tar_that_is_lost_in_the_middle(own_shards: Path, tmp_path: Path, undisturbed, damage: str) -> None:
    config, runs = write_small(tmp_path / "small.yaml", own_shards, EPOCHS), tmp_path / "runs"
    tar = own_shards / "shard-000003.tar"
    shutil.copy(tar, kept := tmp_path / "kept.tar")
    lose = tar.unlink if damage == "removed" else lambda: os.truncate(tar, kept.stat().st_size // 2)
    code, said = ended(config, runs, lose)
    assert code == 2, said
    assert said.startswith(f"bad input: {tar} {'cannot be read' if damage == 'removed' else 'is not the tar that'}")
    assert ended(config, runs)[0] == 2  # as this code says
    shutil.copy(kept, tar)
    check_goes_on(config, runs, undisturbed)


def test_a_disk_that_is_full_when_the_checkpoint_is_written(
    shards: Path, small_disk: Path, tmp_path: Path, undisturbed
) -> None:
    config, runs = write_small(tmp_path / "small.yaml", shards, EPOCHS), small_disk / "runs"

    def fill() -> None:
        with (small_disk / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small_disk).free - LOG)

    code, said = ended(config, runs, fill)
    assert code == 1, said
    assert said.startswith(f"failed: {runs}")
    assert "/checkpoints/last.pt cannot be written: No space left on device. To go on, free space and repeat" in said
    assert not list(runs.rglob(".*.tmp*"))
    (small_disk / "filler").unlink()
    check_goes_on(config, runs, undisturbed)
