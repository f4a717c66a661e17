"""What a result depends on beside its config: versions, processor, GPUs, the project's commit."""

import os
import platform
import subprocess
from pathlib import Path

import torch

from training.processes.liveness import of_launcher


def environment() -> dict[str, object]:
    """Versions and hardware a result depends on."""
    import torchvision

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "world_size": of_launcher("WORLD_SIZE", 1),
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The project's commit when it runs from a checkout; None from an installed copy."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
