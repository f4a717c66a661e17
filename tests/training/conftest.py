"""A small finished shard folder of made-up clips, written with the pipeline's own writer, and neighbours for it."""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from index.embeddings import write_embeddings
from pipeline.media.front_ends import DEFAULT
from pipeline.shards.record import FACTS, FRAME, MANIFEST_SCHEMA, SCHEMA_VERSION, SPECTROGRAM
from pipeline.shards.store import INDEX, MANIFEST, ShardStore
from pipeline.shards.writer import shard_name, writing_shard

CLASSES = 4


def write_shards(folder: Path, sizes: list[int], seed: int = 0) -> Path:
    """Shards of `sizes` clips: every fifth clip is test, every eleventh silent; class = colour and frequency band."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows, number = [], 0
    for shard, size in enumerate(sizes):
        with writing_shard(folder / shard_name(shard)) as writer:
            for _ in range(size):
                rows.append(_add_clip(writer, shard, number, rng))
                number += 1
    pq.write_table(pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA), folder / MANIFEST)
    sha = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    facts = {"schema_version": SCHEMA_VERSION, "front_end": DEFAULT, "short_side": 64, "clips": number,
             "rejects": 0, "shards": len(sizes), "options_sha256": "", "manifest_sha256": sha}  # fmt: skip
    (folder / INDEX).write_text(json.dumps(facts))
    return folder


def _add_clip(writer, shard: int, number: int, rng: np.random.Generator) -> dict:
    label, key = number % CLASSES, f"clip{number:07d}_{number % 60:06d}"
    frame = rng.integers(0, 90, (64, 80, 3), dtype=np.uint8)
    frame[16:48, 16:48, label % 3] += 120 if label < 3 else 60
    audio = rng.normal(-12, 1, (257, 300)).astype(np.float16)
    audio[40 * label : 40 * label + 40] += 8
    split = "test" if number % 5 == 4 else "train"
    flags = ["silent"] if number % 11 == 10 else []
    facts = {"key": key, "label": f"class{label}", "front_end": DEFAULT}
    members = {FRAME: _jpeg(frame), SPECTROGRAM: _npy(audio), FACTS: json.dumps(facts).encode()}
    places = writer.add(key, members)
    row = {"key": key, "source_id": key[:11], "shard": shard_name(shard), "label": f"class{label}", "split": split,
           "duration": 10.0, "moment": 5.0, "width": 80, "height": 64, "flags": flags,
           "source_path": f"{key}.mp4", "source_sha256": ""}  # fmt: skip
    for member, name in ((FRAME, "frame"), (FACTS, "json"), (SPECTROGRAM, "spec")):
        row |= {f"{name}_offset": places[member].offset, f"{name}_size": places[member].size}
    return row


def _jpeg(frame: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """83 clips in five uneven shards, 62 of them to train on."""
    return write_shards(tmp_path_factory.mktemp("corpus") / "shards", [30, 7, 1, 25, 20])


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
