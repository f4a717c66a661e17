"""A finished run folder without training: what `training run` leaves, with the weights a method begins with."""

import json
from pathlib import Path

import torch

from pipeline.media.front_ends import DEFAULT
from training.config import RunConfig, load_config
from training.run_folders.files import DONE, FACTS, WEIGHTS
from training.run_folders.identity import carried
from training.runs import build_method, carry, prepare, write_weights

SMALL = (
    "method.dimension=8", "data.image_size=32", "data.train_list=null", "data.exclude_test=[]", "data.workers=0",
    "encoders.image.blocks=[1,1]", "encoders.image.width=8", "encoders.image.weights=none",
    "encoders.audio.blocks=[1,1]", "encoders.audio.width=8", "encoders.audio.input_pool=[4,3]",
    "evaluation.object_prior=null", "evaluation.batch_size=8",
)  # fmt: skip


def small_config(*overrides: str) -> RunConfig:
    """EZ-VSL with two tiny trunks."""
    return load_config("ezvsl", (*SMALL, *overrides))


def make_run(folder: Path, config: RunConfig, manifest_sha256: str = "0" * 64, front_end: str = DEFAULT) -> Path:
    """Write the run into a folder; returns it."""
    torch.manual_seed(0)
    method = build_method(config)
    prepare(folder, config)
    carry(folder, config)
    contents = {"shards": manifest_sha256, "training_clips": "1" * 64}
    facts = {"front_end": front_end, "manifest_sha256": manifest_sha256, "training_clips": 3, "contents": contents}
    (folder / FACTS).write_text(json.dumps(facts))
    (folder / "training_clips.txt").write_text("trained0\ntrained1\ntrained2\n")
    write_weights(folder / WEIGHTS, method, carried(config, contents))
    (folder / DONE).write_text("1 s\n")
    return folder
