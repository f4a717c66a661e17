"""From a folder, or a name, to a model that is ready to predict: the one seam for every form in which models are kept.

A form is a function that says whether a folder is of it, and one that opens it as a `LoadedRun`: config, method in eval
mode on its device, front end. Nothing beside the folder is read.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from training.runs import LoadedRun, load_run

Opener = Callable[[Path, torch.device], LoadedRun]


def open_model(source: Path | str, device: torch.device) -> LoadedRun:
    """The model in a folder: of a finished run, or `runs/<name>` when that holds exactly one.

    Raises InputError when there is none, or it is unfinished or damaged.
    """
    return load_run(Path(source), device)
