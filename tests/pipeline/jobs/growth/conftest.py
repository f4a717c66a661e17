"""Folders that were finished once; shards are made in the process of the test."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_ingest import corpus, request_for

from pipeline.ingest import IngestRequest, run_ingest


@pytest.fixture(autouse=True)
def always_here(decoded: Callable[[], list[str]], here: None) -> None:
    """Where shards are made is nothing of these tests."""


@pytest.fixture
def first(tmp_path: Path) -> IngestRequest:
    """A finished folder of three clips and a reject in two shards."""
    request = request_for(corpus(tmp_path / "src", "ok 0", "ok 1", "no_audio", "ok 3"), tmp_path / "out", shard_clips=2)
    run_ingest(request)
    return request
