"""A cache of small blocks, and what lies in its folder."""

import os
from pathlib import Path

from s3_server import Gate

from pipeline.storage.cache import open_cached
from pipeline.storage.remote import RemotePath

BLOCK, PAGE = 1000, 400  # bytes


def kept_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in pieces(folder))


def pieces(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.name != "total"]


def ranges(kept: Gate) -> list[str]:
    return [each for each in kept.asked if each.startswith("bytes=")]


def kept_object(bucket: RemotePath) -> bytes:
    """The content of a new object `a.tar` that was read through the cache."""
    (bucket / "a.tar").write_bytes(content := os.urandom(3 * BLOCK))
    with open_cached(bucket / "a.tar") as file:
        file.read()
    return content


def stored(bucket: RemotePath, shards: Path) -> RemotePath:
    """A folder of shards in the bucket."""
    for path in shards.iterdir():
        (bucket / "shards" / path.name).write_bytes(path.read_bytes())
    return bucket / "shards"
