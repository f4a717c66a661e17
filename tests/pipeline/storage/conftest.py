"""A bucket behind a gate, and shards to lie in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cached import BLOCK, PAGE
from damaged_tars import equal_shards
from s3_server import ENVIRONMENT, Gate, gate

from pipeline.storage import cache, remote
from pipeline.storage.remote import RemotePath, place


@pytest.fixture
def storage(s3_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RemotePath, Gate]]:
    """An empty bucket behind a gate, and a cache of ten small blocks."""
    monkeypatch.setattr(cache, "BLOCK", BLOCK)
    monkeypatch.setattr(cache, "PAGE", PAGE)
    monkeypatch.setattr(remote, "PAUSES", (0.01,) * 4)
    cache._said[:] = bytes(2)
    with gate(s3_address) as (address, kept):
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": address}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SHARD_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("SHARD_CACHE_GB", str(10 * BLOCK / 1e9))
        remote._file_system.cache_clear()  # its connections are to another test's gate
        bucket = place(f"s3://bucket-{os.urandom(6).hex()}")
        bucket._files.mkdir(bucket.path)
        yield bucket, kept


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two tars of four clips."""
    return equal_shards(tmp_path / "shards", (4, 4))
