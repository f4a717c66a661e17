"""An exported model: a folder that holds all of a trained localizer, made by `training export`.

    model.safetensors            the weights, with what they are as metadata
    config.json                  method, settings, front end, constants of the preprocessing, data and scores
    object_prior.safetensors     the classifier of the object prior, where the run's evaluation has one
    README.md                    the card

`open_exported` makes of it what `load_run` makes of a run. Nothing in it can run code: the weights are plain tensors,
and a method of another package is taken only when the user has named it (`--method`), or the program imported it.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from index.encoders.tensor_file import read_tensors
from manifests.errors import InputError
from manifests.files.checksums import check_file, check_sealed
from manifests.files.given import opened, read_bytes, understood
from manifests.files.plain_data import object_with
from training.config import RunConfig
from training.model_names import CONFIG, MOST_BYTES, WEIGHTS
from training.outside_methods import is_outside
from training.runs import LoadedRun, build_empty, options_of_its_time

PRIOR, CARD = "object_prior.safetensors", "README.md"
VERSION = 1
AGAIN = "Copy the folder again from where it was made, or make it again with `training export`."


def read_document(folder: Path) -> dict[str, Any]:
    """What config.json says. InputError when it is missing, damaged, or of a later version."""
    with understood(folder / CONFIG, "is damaged, or not of an exported model", AGAIN):
        document = object_with(
            read_bytes(folder / CONFIG, MOST_BYTES), "format", "version", "run", "front_end", "shards"
        )
        digests = check_sealed(document)
    if document["version"] != VERSION:
        raise InputError(
            f"{folder} was exported in version {document['version']} of the form, this program reads {VERSION}. "
            "Update the program."
        )
    for name in (WEIGHTS, PRIOR):
        if name in digests:
            with understood(folder / name, "is damaged, or not of this model", AGAIN):
                check_file(folder / name, digests)
    return document


def open_exported(folder: Path | str, device: str | torch.device = "cpu") -> LoadedRun:
    """An exported model with its weights, in eval mode on `device`. InputError when it is damaged.

    Its config names no place of the machine it was trained on; its object prior's weights are those in the folder.
    """
    folder = Path(folder)
    document = read_document(folder)
    with understood(folder / CONFIG, "is damaged, or not of an exported model", AGAIN):
        config = _config(folder, document["run"])
        front_end, manifest = str(document["front_end"]["name"]), str(document["shards"]["manifest_sha256"])
        epoch = str(document["weights"])
    method = build_empty(config)
    with understood(folder / WEIGHTS, "is damaged, or not of this model", AGAIN), opened(folder / WEIGHTS):
        method.load_state_dict(read_tensors(folder / WEIGHTS)[0])
    where = torch.device(device)
    return LoadedRun(folder, config, method.to(where).eval(), front_end, manifest, where, epoch)


def config_of(stored: Mapping[str, Any]) -> RunConfig:
    """The config that is stored in a model, with what settings younger than it meant then."""
    return RunConfig.model_validate({**stored, "method": options_of_its_time(stored["method"])})


def _config(folder: Path, stored: Mapping[str, Any]) -> RunConfig:
    name = str(stored["method"]["name"])
    if is_outside(name) and name not in sys.modules:
        raise InputError(
            f"{folder} needs the method {name}, which is no part of this project. Opening a model runs no code that it "
            f"names: say `--method {name}` to the command, or `import {name}` in a program, if you trust it."
        )
    config = config_of(stored)
    prior = config.evaluation.object_prior
    if prior is None:
        return config
    own = prior.model_copy(update={"weights": str(folder / PRIOR)})
    return config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"object_prior": own})})
