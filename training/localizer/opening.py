"""From a folder, or a name, to a model that is ready to predict: the one seam for every form in which models are kept.

A finished run, a folder of `training export`, or the name ORG/NAME of such a folder on the Hugging Face Hub. Each opens
as a `LoadedRun`: config, method in eval mode on its device, front end. Nothing beside the folder is read.
"""

from pathlib import Path

import torch

from manifests.errors import InputError
from training.export.exported import open_exported
from training.export.hub import fetched
from training.model_names import check_named, is_hub_name, is_meant_as_exported
from training.runs import LoadedRun, load_run


def open_model(source: Path | str, device: torch.device) -> LoadedRun:
    """The model of a finished run's folder (or `runs/<name>` when that holds exactly one), of an exported folder, or of
    a name on the Hub.

    Raises InputError when there is none, or it is unfinished or damaged.
    """
    if is_hub_name(str(source)):
        return open_exported(fetched(str(source)), device)
    folder = Path(source)
    if is_meant_as_exported(folder):
        return open_exported(folder, device)
    try:
        return load_run(folder, device)
    except InputError:
        check_named(source)  # what is no folder at all could have been meant as any of the three
        raise
