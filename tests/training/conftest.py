"""A small finished shard folder of made-up clips, written with the pipeline's own writer, and neighbours for it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shard_maker import MadeClip, write_shards

from index.embeddings import write_embeddings
from pipeline.shards.store import ShardStore

CLASSES = 4


def made_clip(number: int, rng: np.random.Generator) -> MadeClip:
    """Every fifth clip is test, every eleventh silent; class = colour and frequency band."""
    label = number % CLASSES
    frame = rng.integers(0, 90, (64, 80, 3), dtype=np.uint8)
    frame[16:48, 16:48, label % 3] += 120 if label < 3 else 60
    audio = rng.normal(-12, 1, (257, 300)).astype(np.float16)
    audio[40 * label : 40 * label + 40] += 8
    split = "test" if number % 5 == 4 else "train"
    flags = ("silent",) if number % 11 == 10 else ()
    return MadeClip(f"clip{number:07d}_{number % 60:06d}", frame, audio, f"class{label}", split, flags)


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """83 clips in five uneven shards, 62 of them to train on."""
    sizes, rng = [30, 7, 1, 25, 20], np.random.default_rng(0)
    clips = [made_clip(number, rng) for number in range(sum(sizes))]
    return write_shards(tmp_path_factory.mktemp("corpus") / "shards", clips, sizes, short_side=64)


@pytest.fixture(scope="session")
def store(shards: Path) -> ShardStore:
    return ShardStore.open(shards)


@pytest.fixture(scope="session")
def knn(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five neighbours of every training clip, from vectors that know the class."""
    store = ShardStore.open(shards)
    rows = [row for row, split in enumerate(store.table["split"].to_pylist()) if split == "train"]
    rng = np.random.default_rng(0)
    vectors = np.eye(CLASSES)[[row % CLASSES for row in rows]] + 0.1 * rng.normal(size=(len(rows), CLASSES))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    folder = tmp_path_factory.mktemp("near")
    facts = {"encoder": "made up", "split": "train", "front_end": store.front_end}
    keys, sha = store.table.take(rows), store.manifest_sha256
    write_embeddings(folder / "embeddings", image=vectors, audio=vectors, keys=keys, manifest_sha256=sha, **facts)
    command = [sys.executable, "-c", "from index.cli import main; main()", "build-knn", "--k", "5", "--shards", shards,
               "--embeddings", folder / "embeddings", "--out", folder / "knn"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)  # its own process: FAISS and torch do not share one
    return folder / "knn"
