"""A finished run's folder with the weights it began with: for what needs a run, and not that it is right."""

import json
from pathlib import Path

import torch

from pipeline.media.front_ends import DEFAULT
from training.config import load_config
from training.run_folders.files import DONE, FACTS
from training.run_folders.identity import carried
from training.runs import build_empty, prepare, write_weights

SMALL = (
    "encoders.image={blocks: [1, 1], width: 16, weights: none}",
    "encoders.audio={blocks: [1, 1], width: 16, input_pool: [4, 3]}",
    "data.image_size=64",
    "method.dimension=16",
)


def write_run(folder: Path, *overrides: str) -> Path:
    """An EZ-VSL of few channels; returns the folder."""
    config = load_config("ezvsl", (*SMALL, *overrides))
    prepare(folder, config)
    torch.manual_seed(0)
    write_weights(folder / "weights.safetensors", build_empty(config), carried(config, {}))
    (folder / FACTS).write_text(json.dumps({"front_end": DEFAULT, "manifest_sha256": "0" * 64}))
    (folder / DONE).write_text("0 s\n")
    return folder
