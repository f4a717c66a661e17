"""What lies on the attacked desk beside shards and lists: a corpus of solos, a video, a released checkpoint."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from scipy.io import wavfile

from pipeline.media.encode import encode_video
from pipeline.synth.truth import TRUTH_SCHEMA
from training.config import load_config
from training.import_checkpoint import RELEASES
from training.runs import build_empty

TRUNKS = ("encoders.image={blocks: [1, 1], width: 4, weights: none}", "encoders.audio={blocks: [1, 1], width: 4}")
RATE = 16000


def write_solos(folder: Path) -> None:
    """As `pipeline compose` writes them: an object alone in each image, four classes in either split."""
    rows, random = [], np.random.default_rng(2)
    for name in ("frames", "audio"):
        (folder / name).mkdir(parents=True)
    for split in ("train", "test"):
        for label in "abcd":
            key = f"{split:_<10}{label}_000000"
            rows.append({
                "key": key, "source_id": key[:11], "split": split, "kind": "ordinary", "label": label, "width": 64,
                "height": 48, "moment": 5.0, "frame": 0, "object": 0, "object_label": label, "sounding": True,
                "gain": 1.0, "on_screen": True, "visible_share": 1.0, "x1": 0.1, "y1": 0.1, "x2": 0.5, "y2": 0.6,
            })  # fmt: skip
            Image.fromarray(random.integers(0, 255, (48, 64, 3), np.uint8)).save(folder / "frames" / f"{key}.jpg")
            noise = (8000 * random.standard_normal(10 * RATE)).astype(np.int16)
            wavfile.write(folder / "audio" / f"{key}.wav", RATE, noise)
    pq.write_table(pa.Table.from_pylist(rows, TRUTH_SCHEMA), folder / "truth.parquet")


def write_video(path: Path) -> None:
    """Half a second."""
    random = np.random.default_rng(3)
    frames = random.integers(0, 255, (6, 48, 64, 3), np.uint8)
    encode_video(path, frames, 12, random.normal(0, 0.1, RATE // 2).astype(np.float32), RATE)


def write_release(path: Path) -> None:
    """A checkpoint as EZ-VSL's authors release theirs, of small trunks."""
    state = build_empty(load_config("ezvsl", (*TRUNKS, "method.dimension=8"))).state_dict()
    theirs = {}
    for name, tensor in state.items():
        there, here = next(pair for pair in RELEASES["ezvsl"].names if name.startswith(pair[1]))
        theirs[f"module.{there}{name.removeprefix(here)}"] = tensor
    torch.save({"model": theirs, "epoch": 20}, path)
