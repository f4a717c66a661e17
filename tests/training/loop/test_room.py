"""How much clips may take: what is free less what a step needs, a share of this machine's memory beside it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from training.config import load_config
from training.distributed import Ranks
from training.loop import room
from training.loop.free_memory import memory_of_machine
from training.loop.room import CPU, Room, step_bytes

GPU = torch.device("cuda")
VGGSOUND = np.full(144_000, 256 * 455 * 3 + 257 * 300 * 2)  # 72.5 GB
STEP = step_bytes(load_config("ezvsl.yaml", ("data.train_list=null", "optim.precision=bfloat16")), 128, 1)


def of(gpu: float, machine: float) -> Room:
    """With so many GB free."""
    return Room(GPU, int(gpu * 1e9) - STEP, int(room.OF_MEMORY * machine * 1e9))


@pytest.mark.parametrize(
    ("gpu", "machine", "share"), [(150, 32, 1.0), (80, 128, 0.94), (40, 128, 0.39), (24, 128, 0.17)]
)
def test_vggsound_stays_where_gpu_and_machine_hold_it(gpu: float, machine: float, share: float) -> None:
    on_device = of(gpu, machine).divided(VGGSOUND)
    assert on_device is not None
    assert on_device.mean() == pytest.approx(share, abs=0.01)
    assert VGGSOUND[on_device].sum() <= gpu * 1e9 - STEP


def test_vggsound_is_streamed_where_they_do_not() -> None:
    small = of(24, 32)
    assert small.divided(VGGSOUND) is None
    assert small.too_small(VGGSOUND) == (
        "take 72.5 GB, and there is room for 12.2 GB in GPU memory, 24.0 GB in this machine's"
    )


def test_what_a_step_needs() -> None:
    """More than was measured of EZ-VSL's 128 clips on an H100 (benchmarks/gpu): 4.9 GB in bfloat16, 9.7 in float32."""
    measured = {"bfloat16": 4.87e9, "float32": 9.69e9}
    for precision, taken in measured.items():
        config = load_config("ezvsl.yaml", (f"optim.precision={precision}",))
        assert 2 * taken < step_bytes(config, 128, 1) < 2.5 * taken
    small = load_config("ezvsl.yaml", ("data.image_size=112",))
    assert 0.6 < step_bytes(small, 128, 1) / step_bytes(config, 128, 1) < 0.8  # sounds are as long as before
    assert step_bytes(config, 128, 2) - step_bytes(config, 64, 2) == pytest.approx(step_bytes(config, 64, 2) - 2e9)


@pytest.mark.parametrize(
    ("overrides", "clips"),
    [((), 64), (("optim.negatives=global",), 64), (("optim.negatives=global", "compute.recompute=never"), 128)],
    ids=["parts one by one", "computed again", "all parts at once"],
)
def test_a_gpu_holds_what_a_step_leaves(overrides: tuple[str, ...], clips: int, monkeypatch) -> None:
    config = load_config("ezvsl.yaml", ("optim.batch_size=128", "optim.replicas=2", *overrides))
    monkeypatch.setattr(room, "free_memory", lambda device: int(84e9 if device.type == "cuda" else 120e9))
    stream: Any = SimpleNamespace(replicas=range(2), positives=SimpleNamespace(fetched=("image",)))
    method: Any = SimpleNamespace(needs=frozenset({"near_image"}), burst=(0, 0.0))
    given = room.room_for_clips(config, Ranks(0, 1, GPU), stream, method)
    assert given == Room(GPU, int(84e9) - step_bytes(config, clips, 2), int(90e9))
    assert room.room_for_clips(config, Ranks(0, 1, CPU), stream, method) == Room(CPU, int(90e9))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.87, 1.0])
def test_both_kinds_are_spread_evenly(share: float) -> None:
    """Shards are read one after another: any 1,000 clips in a row have their share of both, the same in every run."""
    sizes = np.random.default_rng(0).integers(200_000, 500_000, 20_000)
    given = Room(GPU, int(share * sizes.sum()), 10**11)
    on_device = given.divided(sizes)
    assert on_device is not None
    assert share * sizes.sum() - 500_000 <= sizes[on_device].sum() <= share * sizes.sum()
    shares = (sizes * on_device).reshape(20, 1000).sum(axis=1) / sizes.reshape(20, 1000).sum(axis=1)
    assert np.abs(shares - share).max() < 0.01
    assert np.array_equal(on_device, given.divided(sizes))


@pytest.mark.parametrize(("local", "expected"), [(None, 90), ("1", 90), ("8", 11.25)])
def test_processes_on_one_machine_share_its_memory(local: str | None, expected: float, monkeypatch) -> None:
    if local is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
    monkeypatch.setattr(room, "free_memory", lambda device: int(120e9))
    assert room.memory_of_process() == expected * 1e9


def system(root: Path, files: dict[str, str]) -> Path:
    for name, content in {"proc/meminfo": "MemTotal: 200 kB\nMemAvailable: 100 kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def limits(folder: str, most: str, taken: int) -> dict[str, str]:
    """Of a control group (version 2) in which 10 kB of files would give way."""
    return {f"{folder}/memory.max": most, f"{folder}/memory.current": f"{taken}\n",
            f"{folder}/memory.stat": "anon 5\ninactive_file 10240\n"}  # fmt: skip


V1 = {
    "proc/self/cgroup": "4:memory:/docker/abc\n0::/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "40960\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "30720\n",
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 2048\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 102_400),
        ({"proc/self/cgroup": "0::/job/step\n", **limits("sys/fs/cgroup/job/step", "max\n", 5)}, 102_400),
        ({"proc/self/cgroup": "0::/job/step\n", **limits("sys/fs/cgroup/job", "61440\n", 20_480)}, 51_200),
        ({"proc/self/cgroup": "0::/\n", **limits("sys/fs/cgroup", "10240\n", 40_960)}, 0),
        (V1, 12_288),
    ],
    ids=["no limit", "the highest one", "of the group above", "exceeded", "version 1"],
)
def test_limits_of_a_job_or_container_count(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert memory_of_machine(system(tmp_path, files)) == expected


def test_a_machine_that_does_not_say_has_no_room(tmp_path: Path) -> None:
    assert memory_of_machine(tmp_path) == 0
