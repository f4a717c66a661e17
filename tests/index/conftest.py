"""Folders of embeddings and of shards, a few dozen clips each, in the real formats."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from shard_maker import MadeClip, write_shards, write_waveforms
from typer.testing import CliRunner

from index.arrays import KEYS_SCHEMA
from index.cli import app
from index.embeddings import unit_rows, write_embeddings
from manifests.errors import InputError, WorkFailed
from pipeline.media.front_ends import DEFAULT
from pipeline.shards.companion import CONTEXT


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


def clip_of(kind: int, key: str, split: str | None, generator: np.random.Generator) -> MadeClip:
    """A clip of one of three kinds: each has its colour and stripes, its pitch and its rhythm, under noise."""
    stripes = 60 * np.sin(np.arange(256) * (0.1 + 0.15 * kind))
    image = 90 + np.eye(3)[kind] * 80 + (stripes[:, None, None] if kind else stripes[None, :, None])
    image = np.clip(image + 8 * generator.standard_normal((256, 256, 3)), 0, 255).astype(np.uint8)
    loud = 6 * (np.sin(np.arange(300) * (0.05 + 0.3 * kind)) > 0)
    audio = -14 + generator.standard_normal((257, 300))
    audio[20 + 60 * kind : 40 + 60 * kind] += loud
    return MadeClip(key, image, audio.astype(np.float16), f"kind{kind}", split, facts={"source_id": key})


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
        generator = np.random.default_rng(seed)
        clips = [clip_of(at % 3, f"clip{at:05d}", split, generator) for at, split in enumerate(splits)]
        folder = write_shards(tmp_path / name, clips, companions=[] if audio_rate is None else [CONTEXT])
        if audio_rate is not None:
            write_waveforms(folder, tones([clip.key for clip in clips], audio_rate), audio_rate)
        return folder

    return make


def tones(keys: Sequence[str], rate: int) -> dict[str, np.ndarray]:
    """Two seconds of a tone of the clip's kind under noise."""
    generator, times = np.random.default_rng(1), np.arange(2 * rate) / rate
    noise = [0.01 * generator.standard_normal(2 * rate) for _ in keys]
    clean = [0.3 * np.sin(times * 2 * np.pi * 200 * 4 ** (number % 3)) for number in range(len(keys))]
    return {key: (a + b).astype(np.float32) for key, a, b in zip(keys, clean, noise, strict=True)}
