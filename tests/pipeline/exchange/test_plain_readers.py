"""Shards as other programs open them: with webdataset alone, and with Hugging Face's datasets."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shard_maker import MadeClip, write_shards

from pipeline.exchange.features import shard_features
from pipeline.shards.store import ShardStore


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips in two tars; no flag and no label is known before the seventh."""
    rng = np.random.default_rng(0)
    clips = [
        MadeClip(f"my%2Eclip{number}", rng.integers(0, 255, (32, 40, 3), dtype=np.uint8),
                 rng.normal(-12, 1, (257, 300)).astype(np.float16), "dog" if number > 6 else None, "train",
                 ("silent",) if number > 6 else ())
        for number in range(12)
    ]  # fmt: skip
    return write_shards(tmp_path_factory.mktemp("plain") / "shards", clips, [9, 3], short_side=32)


def test_webdataset_reads_shards(shards: Path) -> None:
    import webdataset

    store = ShardStore.open(shards)
    tars = [str(path) for path in sorted(shards.glob("shard-*.tar"))]
    found = list(webdataset.WebDataset(tars, shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in found] == store.keys
    for row, sample in enumerate(found):
        assert np.array_equal(sample["frame.jpg"], store.frame(row))
        assert np.array_equal(sample["spec.npy"], store.spectrogram(row))
        assert sample["json"]["label"] == store.facts(row)["label"]


def test_datasets_reads_shards(shards: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the library datasets is not installed")
    store = ShardStore.open(shards)
    found = datasets.load_dataset("webdataset", data_files=str(shards / "shard-*.tar"), split="train",
                                  features=datasets.Features.from_dict(shard_features(shards)),
                                  cache_dir=str(tmp_path))  # fmt: skip
    assert found["__key__"][:] == store.keys
    assert found[0]["json"]["label"] is None
    assert (found[8]["json"]["label"], found[8]["json"]["flags"]) == ("dog", ["silent"])
    assert found[3]["frame.jpg"].size == (40, 32)
    assert np.array_equal(np.array(found[3]["spec.npy"], np.float16), store.spectrogram(3))


def test_datasets_reads_shards_whose_first_clips_say_all_without_being_told(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the library datasets is not installed")
    picture = np.zeros((32, 40, 3), np.uint8)
    clips = [MadeClip(f"clip{number}", picture, np.zeros((257, 300), np.float16), "dog") for number in range(8)]
    shards = write_shards(tmp_path / "shards", clips, short_side=32)
    found = datasets.load_dataset("webdataset", data_files=str(shards / "shard-*.tar"), split="train",
                                  cache_dir=str(tmp_path / "cache"))  # fmt: skip
    assert len(found) == 8
    assert isinstance(found.features["frame.jpg"], datasets.Image)
    assert set(found.features["json"]) == set(shard_features(shards)["json"])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(ShardStore.open(shards).read(0, "frame.jpg")))), picture)
