"""Where networks compute, as `--device` names it."""

import torch

from index.device import AUTO, chosen_device
from index.search_torch import gpu_count


def pick_device(given: str | None) -> torch.device:
    """What `--device` names: auto (as None), cpu, cuda or cuda:N. InputError for anything else, and for a GPU that is
    absent."""
    return torch.device(chosen_device(given or AUTO, gpu_count(), "torch"))
