"""What a program may still take of a GPU's memory, or of this machine's."""

from collections.abc import Iterator
from pathlib import Path

import torch

# How the two versions of control groups call the most that one may take, what it takes, and how much of that is files
# which give way.
LIMITS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU; or in this machine's memory, for a job of Slurm's or a container what its limits
    leave (0 where Linux's /proc does not say)."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else memory_of_machine()


def memory_of_machine(root: Path = Path("/")) -> int:
    """As `free_memory` of a CPU; `root` is where the system's files are."""
    available = _named(root / "proc/meminfo", "MemAvailable:")
    if available is None:
        return 0
    return max(0, min([available * 1024, *_left_by_groups(root)]))


def _left_by_groups(root: Path) -> Iterator[int]:
    """What the limits of this process's control group, and of those above it, leave."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = root / "sys/fs/cgroup" / controllers
        own = top / path.lstrip("/")
        for folder in (own, *own.parents[: len(own.parts) - len(top.parts)]):
            for limit, taken, gives_way in LIMITS:
                most, now = (_number(folder / name) for name in (limit, taken))
                if most is not None and now is not None:
                    yield most - now + (_named(folder / "memory.stat", gives_way) or 0)


def _number(file: Path) -> int | None:
    content = "".join(_lines(file)).strip()
    return int(content) if content.isdigit() else None  # "max" where there is no limit


def _named(file: Path, name: str) -> int | None:
    """The number behind a name."""
    return next((int(line.split()[1]) for line in _lines(file) if line.split()[:1] == [name]), None)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.is_file() else []
