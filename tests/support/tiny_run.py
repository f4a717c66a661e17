"""A tiny EZ-VSL: its config, which a test lays its own sections over, and a run that is trained with it.

run = train_tiny(tmp_path, shards, evaluation={"batch_size": 4})
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.storage.remote import RemotePath
from training.config import load_config
from training.loop.start import start
from training.runs import LoadedRun, load_run
from training.settings.files import _merged

EZVSL: dict[str, Any] = {"name": "ezvsl", "temperature": 0.1, "dimension": 16}
TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"image_size": 32},
    "encoders": {
        "image": {"blocks": [1, 1], "width": 8, "weights": "none"},
        "audio": {"blocks": [1, 1], "width": 8, "input_pool": [4, 3]},
    },
    "optim": {"epochs": 1, "batch_size": 16},
}


def write_tiny(
    folder: Path, shards: Path | RemotePath | Sequence[Path], method: dict[str, Any] = EZVSL, **sections: Any
) -> Path:
    """Write <name>.yaml into a folder that is there; returns it. method: all of that section, of another method too."""
    own = _merged(TINY, {"method": method, "data": {"shards": shards}})
    content = json.loads(json.dumps(_merged(own, sections), default=os.fspath))  # paths become text
    path = folder / f"{content['name']}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def train_tiny(folder: Path, shards: Path, method: dict[str, Any] = EZVSL, **sections: Any) -> LoadedRun:
    """Write the config, train its run under <folder>/runs, and load it."""
    run, _ = start(load_config(write_tiny(folder, shards, method, **sections)), folder / "runs", "cpu")
    return load_run(run)
