"""Reading shards of an S3 server through a bounded cache: what is fetched, what is kept, and what the server may do."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from cached import BLOCK, kept_bytes, ranges, stored
from s3_server import Gate

from pipeline.shards.store import ShardStore
from pipeline.storage.cache import BlockCache, CachedObject, open_cached
from pipeline.storage.remote import RemotePath, StorageLost


def test_what_is_streamed_is_fetched_once_and_kept(storage: tuple[RemotePath, Gate], tmp_path: Path) -> None:
    bucket, kept = storage
    content = os.urandom(5 * BLOCK + 123)
    (bucket / "a.tar").write_bytes(content)
    kept.asked.clear()
    for _ in range(2):
        with open_cached(bucket / "a.tar") as file:
            assert file.read() == content
            file.seek(2500)
            assert file.read(1200) == content[2500:3700]
    assert ranges(kept) == [
        f"bytes={start}-{min(start + BLOCK, len(content)) - 1}" for start in range(0, len(content), BLOCK)
    ]
    assert kept_bytes(tmp_path / "cache") == len(content) + 4 * (5 * 3 + 1)  # a checksum for every page


def test_here_and_there_asks_for_these_bytes_alone(storage: tuple[RemotePath, Gate], tmp_path: Path) -> None:
    """Once, and takes what a stream has left; what follows the last read is a stream."""
    bucket, kept = storage
    (bucket / "a.tar").write_bytes(content := os.urandom(8 * BLOCK))
    opened = CachedObject(bucket / "a.tar")
    kept.asked.clear()
    for start in (5100, 2900, 7000):
        assert opened.read(start, 150) == content[start : start + 150]
    assert kept.asked == ["bytes=5100-5249", "bytes=2900-3049", "bytes=7000-7149"]
    assert kept_bytes(tmp_path / "cache") == 3 * (150 + 4)
    again = CachedObject(bucket / "a.tar")
    assert [again.read(start, 150) for start in (5100, 2900)] == [content[5100:5250], content[2900:3050]]
    assert [each for each in kept.asked[3:] if each.startswith("bytes=")] == []
    kept.asked[3:] = []
    assert opened.read(7150, 100) == content[7150:7250]
    assert kept.asked[3:] == ["bytes=7000-7999"]
    assert opened.read(7700, 900) == content[7700:]
    assert kept.asked[4:] == []


@pytest.mark.slow
def test_the_bound_holds_with_a_set_that_is_larger(storage: tuple[RemotePath, Gate], tmp_path: Path) -> None:
    """The blocks used last are there, the others are fetched again."""
    bucket, kept = storage
    contents = {f"{number}.tar": os.urandom(4 * BLOCK) for number in range(5)}
    for name, content in contents.items():
        (bucket / name).write_bytes(content)
    for name, content in contents.items():
        with open_cached(bucket / name) as file:
            assert file.read() == content
        assert kept_bytes(tmp_path / "cache") <= 10 * BLOCK
    kept.asked.clear()
    with open_cached(bucket / "4.tar") as file:
        assert file.read() == contents["4.tar"]
    assert ranges(kept) == []
    with open_cached(bucket / "0.tar") as file:
        assert file.read() == contents["0.tar"]
    assert len(ranges(kept)) == 4


def test_an_object_that_was_replaced_is_another(storage: tuple[RemotePath, Gate]) -> None:
    bucket, _ = storage
    for content in (os.urandom(3 * BLOCK), os.urandom(3 * BLOCK)):
        (bucket / "a.tar").write_bytes(content)
        with open_cached(bucket / "a.tar") as file:
            assert file.read() == content


@pytest.mark.slow
def test_a_storage_that_stumbles_is_asked_again(storage: tuple[RemotePath, Gate]) -> None:
    """Errors, answers that end in the middle, and slow ones: every second request goes wrong in some way."""
    bucket, kept = storage
    (bucket / "a.tar").write_bytes(content := os.urandom(9 * BLOCK))
    faults = ["error", None, "cut", None, 0.2, None]
    kept.fault = lambda number: faults[number % len(faults)]
    with open_cached(bucket / "a.tar") as file:
        assert file.read() == content


@pytest.mark.slow
def test_a_storage_that_is_gone_is_a_sentence(storage: tuple[RemotePath, Gate], shards: Path) -> None:
    bucket, kept = storage
    store = ShardStore.open(stored(bucket, shards))
    frame = store.frame(1)
    kept.fault = lambda number: "error"
    with pytest.raises(StorageLost, match=r"^s3://.*shard-000001\.tar cannot be reached .*asked 5 times.*continues\.$"):
        store.frame(5)
    kept.fault = lambda number: None
    assert np.array_equal(store.frame(1), frame)


def named(number: int) -> str:
    """A block's name as the cache has it."""
    return f"{'0123456789abcdef' * 2}-{number}"


def write_many(folder: Path, writer: int) -> None:
    blocks = BlockCache(folder, 10 * BLOCK)
    for number in range(60):
        blocks.keep(named(100 * writer + number), os.urandom(BLOCK))
        assert kept_bytes_now(folder) <= 10 * BLOCK
        mine = blocks.read(named(100 * writer + number), BLOCK, 0, BLOCK)
        assert mine is None or len(mine) == BLOCK


def kept_bytes_now(folder: Path) -> int:
    total = 0
    for entry in os.scandir(folder):
        try:
            total += entry.stat().st_size if entry.name != "total" else 0
        except FileNotFoundError:  # another process has made room
            continue
    return total


def test_several_processes_share_one_bound(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(tmp_path, writer)) for writer in range(3)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(120)
        assert process.exitcode == 0
    assert 0 < kept_bytes(tmp_path) <= 10 * BLOCK


def test_what_a_killed_process_left_is_counted_again(tmp_path: Path) -> None:
    """Half a block under a hidden name, a number that is too high, or no number."""
    blocks = BlockCache(tmp_path, 10 * BLOCK)
    for number in range(3):
        blocks.keep(named(number), bytes(BLOCK))
    (half := tmp_path / f".{named(3)}.123-{'0' * 32}.tmp").write_bytes(bytes(BLOCK // 2))
    os.utime(half, (1, 1))
    for known in (b"%020d" % (99 * BLOCK), b"", bytes(20), b"9" * 5000):
        (tmp_path / "total").write_bytes(known)
        blocks.keep(named(4), bytes(BLOCK))
        assert int((tmp_path / "total").read_bytes()) >= kept_bytes(tmp_path)
        assert blocks.read(named(0), BLOCK, 0, 10) == bytes(10)
    blocks.keep(named(5), bytes(6 * BLOCK))
    assert not half.exists()


def test_files_of_other_programs_in_the_folder_stay(tmp_path: Path) -> None:
    mine = {"holiday.mp4": bytes(20 * BLOCK), "thesis.tex": b"text", "0123-4": b"data", ".hidden.tmp": b"other"}
    for name, content in mine.items():
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / "folder").mkdir()
    blocks = BlockCache(tmp_path, 10 * BLOCK)
    for number in range(25):
        blocks.keep(named(number), bytes(BLOCK))
    assert {name: (tmp_path / name).read_bytes() for name in mine} == mine
    assert blocks.read(named(24), BLOCK, 0, BLOCK) == bytes(BLOCK)
    assert blocks.read(named(0), BLOCK, 0, BLOCK) is None
    (tmp_path / "total").write_text("of the year: 12")
    with pytest.raises(FileExistsError, match="another program"):
        blocks.keep(named(25), bytes(BLOCK))
    assert (tmp_path / "total").read_text() == "of the year: 12"
