"""Folders of embeddings and of shards, a few dozen clips each, in the real formats."""

import hashlib
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from index.arrays import KEYS_SCHEMA
from index.cli import app
from index.embeddings import unit_rows, write_embeddings
from manifests.errors import InputError, WorkFailed
from pipeline.media.front_ends import DEFAULT
from pipeline.shards.codecs import encode_flac
from pipeline.shards.companion import (
    COMPANION_SCHEMA,
    CONTEXT,
    WAVEFORM,
    WAVEFORM_FACTS,
    companion_manifest,
    companion_name,
)
from pipeline.shards.record import FACTS, FRAME, MANIFEST_SCHEMA, REJECT_SCHEMA, SCHEMA_VERSION, SPECTROGRAM, Member
from pipeline.shards.writer import shard_name, writing_shard


def clip_table(
    sources: Sequence[str | None], labels: Sequence[str | None] | None = None, split: str = "train"
) -> pa.Table:
    keys = [f"clip{number:05d}" for number in range(len(sources))]
    columns = [keys, list(sources), list(labels or [None] * len(keys)), [split] * len(keys)]
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=KEYS_SCHEMA)


def random_vectors(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, dimension)))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run `index ...` inside `tmp_path`; what it printed. The two expected failures are raised."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        if isinstance(result.exception, InputError | WorkFailed):
            raise result.exception
        assert result.exit_code == 0, result.output
        return re.sub(r"\n(embed|build-knn|random-knn): [^\n]*", "", result.output)

    return run


@pytest.fixture
def make_embeddings(tmp_path: Path) -> Callable[..., Path]:
    """Write a finished folder of embeddings; 60 clips of 50 videos unless told otherwise."""

    def make(name: str = "embeddings", clips: int = 60, seed: int = 0, **changes: object) -> Path:
        sources = [f"video{max(number - 10, 0)}" for number in range(clips)]
        given = {
            "image": random_vectors(clips, 12, seed),
            "audio": random_vectors(clips, 8, seed + 1),
            "keys": clip_table(sources, [f"label{number % 3}" for number in range(clips)]),
            "encoder": "test",
            "manifest_sha256": "a" * 64,
            "front_end": DEFAULT,
            "split": "train",
        }
        write_embeddings(tmp_path / name, **(given | changes))
        return tmp_path / name

    return make


def jpeg(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=95)
    return content.getvalue()


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def clip_members(kind: int, generator: np.random.Generator) -> dict[str, bytes]:
    """A clip of one of three kinds: each has its colour and stripes, its pitch and its rhythm, under noise."""
    stripes = 60 * np.sin(np.arange(256) * (0.1 + 0.15 * kind))
    image = 90 + np.eye(3)[kind] * 80 + (stripes[:, None, None] if kind else stripes[None, :, None])
    image = np.clip(image + 8 * generator.standard_normal((256, 256, 3)), 0, 255).astype(np.uint8)
    loud = 6 * (np.sin(np.arange(300) * (0.05 + 0.3 * kind)) > 0)
    audio = -14 + generator.standard_normal((257, 300))
    audio[20 + 60 * kind : 40 + 60 * kind] += loud
    return {FRAME: jpeg(image), FACTS: b"{}", SPECTROGRAM: npy(audio.astype(np.float16))}


@pytest.fixture
def make_shards(tmp_path: Path) -> Callable[..., Path]:
    """Write a finished shard folder of clips in three kinds; kind and label agree, every clip is a video of its own.

    `audio_rate`: Hz of the waveforms kept beside the shards (None: there are none).
    """

    def make(
        name: str = "shards",
        splits: Sequence[str | None] = ("train",) * 12,
        seed: int = 0,
        audio_rate: int | None = None,
    ) -> Path:
        folder, generator, rows = tmp_path / name, np.random.default_rng(seed), []
        folder.mkdir()
        with writing_shard(folder / shard_name(0)) as shard:
            for number, split in enumerate(splits):
                key = f"clip{number:05d}"
                places = shard.add(key, clip_members(number % 3, generator))
                rows.append(manifest_row(key, f"kind{number % 3}", split, places))
        companions = [] if audio_rate is None else write_waveforms(folder, [row["key"] for row in rows], audio_rate)
        finish_shards(folder, rows, companions)
        return folder

    return make


def write_waveforms(folder: Path, keys: Sequence[str], rate: int) -> list[str]:
    """The `context` companion: two seconds of a tone of the clip's kind under noise."""
    generator, rows, name = np.random.default_rng(1), [], companion_name(CONTEXT, 0)
    with writing_shard(folder / name) as shard:
        for number, key in enumerate(keys):
            tone = 0.3 * np.sin(np.arange(2 * rate) / rate * 2 * np.pi * 200 * 4 ** (number % 3))
            samples = (tone + 0.01 * generator.standard_normal(2 * rate)).astype(np.float32)
            facts = json.dumps({"rate": rate, "samples": len(samples), "start": 4.0}).encode()
            places = shard.add(key, {WAVEFORM: encode_flac(samples, rate), WAVEFORM_FACTS: facts})
            rows += [
                {"key": key, "shard": name, "member": member, "offset": place.offset, "size": place.size}
                for member, place in places.items()
            ]
    pq.write_table(pa.Table.from_pylist(rows, COMPANION_SCHEMA), folder / companion_manifest(CONTEXT))
    return [CONTEXT]


def manifest_row(key: str, label: str, split: str | None, places: dict[str, Member]) -> dict[str, object]:
    row = {"key": key, "source_id": key, "shard": shard_name(0), "label": label, "split": split, "duration": 10.0}
    row |= {"moment": 5.0, "width": 256, "height": 256, "flags": [], "source_path": f"{key}.mp4", "source_sha256": key}
    for column, member in (("frame", FRAME), ("json", FACTS), ("spec", SPECTROGRAM)):
        row |= {f"{column}_offset": places[member].offset, f"{column}_size": places[member].size}
    return row


def finish_shards(folder: Path, rows: list[dict[str, object]], companions: Sequence[str] = ()) -> None:
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST_SCHEMA), folder / "manifest.parquet")
    pq.write_table(pa.Table.from_pylist([], REJECT_SCHEMA), folder / "rejects.parquet")
    index = {
        "schema_version": SCHEMA_VERSION,
        "front_end": DEFAULT,
        "short_side": 256,
        "clips": len(rows),
        "rejects": 0,
    }
    index |= {"shards": 1, "options_sha256": "0" * 64, "companions": list(companions)}
    index["manifest_sha256"] = hashlib.sha256((folder / "manifest.parquet").read_bytes()).hexdigest()
    (folder / "index.json").write_text(json.dumps(index))
