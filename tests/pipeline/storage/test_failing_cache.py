"""A cache that is damaged, full, gone or not to be had: it is said, and reading goes on where it can."""

import errno
import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from cached import BLOCK, PAGE, kept_bytes, kept_object, pieces, ranges, stored
from every import for_every
from s3_server import Gate

from manifests.errors import InputError
from manifests.files.whole import whole_path
from pipeline.shards.store import ShardStore
from pipeline.storage import cache
from pipeline.storage.cache import BlockCache, CachedObject, open_cached
from pipeline.storage.remote import RemotePath


def flipped(position: int) -> Callable[[bytes], bytes]:
    return lambda kept: kept[:position] + bytes([kept[position] ^ 1]) + kept[position + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "zeros": lambda kept: bytes(len(kept)),
    "zeros for its content": lambda kept: bytes(BLOCK) + kept[BLOCK:],
    "zeros for its last page": lambda kept: kept[: 2 * PAGE] + bytes(len(kept) - 2 * PAGE),
    "its first byte": flipped(0),
    "a byte in the middle": flipped(BLOCK // 2),
    "its last byte": flipped(BLOCK - 1),
    "a checksum": flipped(BLOCK + 5),
    "two pages exchanged": lambda kept: kept[PAGE : 2 * PAGE] + kept[:PAGE] + kept[2 * PAGE :],
    "cut off": lambda kept: kept[:600],
    "without checksums": lambda kept: kept[:BLOCK],
    "empty": lambda kept: b"",
    "longer": lambda kept: kept + b"x",
}


@for_every(DAMAGE)
def test_a_piece_that_is_not_what_was_kept_is_fetched_again(
    damage: str, storage: tuple[RemotePath, Gate], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All pieces are damaged at once, and told of once; afterwards they are whole again."""
    bucket, kept = storage
    cache._said[:] = bytes(2)
    content = kept_object(bucket)
    for path in pieces(tmp_path / "cache"):
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    kept.asked.clear()
    for _ in range(2):
        with open_cached(bucket / "a.tar") as file:
            assert file.read() == content
    assert ranges(kept) == ["bytes=0-999", "bytes=1000-1999", "bytes=2000-2999"]
    assert capsys.readouterr().err.count("are not what was kept in it") == 1


def test_of_a_piece_that_is_read_in_part_these_pages_are_compared(
    storage: tuple[RemotePath, Gate], tmp_path: Path
) -> None:
    """And no more than these."""
    bucket, kept = storage
    (bucket / "a.tar").write_bytes(content := os.urandom(BLOCK))
    with open_cached(bucket / "a.tar") as file:
        file.read()
    (piece,) = pieces(tmp_path / "cache")
    piece.write_bytes(flipped(PAGE + 10)(piece.read_bytes()))
    kept.asked.clear()
    for start, asked in ((0, 0), (2 * PAGE + 1, 0), (PAGE + 100, 1)):
        assert CachedObject(bucket / "a.tar").read(start, 50) == content[start : start + 50]
        assert len(ranges(kept)) == asked


def test_pieces_of_an_earlier_version_are_fetched_again_and_make_room(
    storage: tuple[RemotePath, Gate], tmp_path: Path
) -> None:
    """They had no checksums, and lay under other names."""
    bucket, _ = storage
    (bucket / "a.tar").write_bytes(content := os.urandom(3 * BLOCK))
    named_so = f"{bucket / 'a.tar'} {(bucket / 'a.tar').stat().version}"
    (tmp_path / "cache").mkdir()
    for number in range(9):
        name = f"{hashlib.sha256(named_so.encode()).hexdigest()[:32]}-{number}"
        (tmp_path / "cache" / name).write_bytes(bytes(BLOCK))
        os.utime(tmp_path / "cache" / name, (1, 1))
    with open_cached(bucket / "a.tar") as file:
        assert file.read() == content
    assert kept_bytes(tmp_path / "cache") <= 10 * BLOCK


@pytest.mark.parametrize("given", ["0", "1e-9"])
def test_no_cache_at_all(storage: tuple[RemotePath, Gate], tmp_path: Path, monkeypatch, given: str) -> None:
    bucket, _ = storage
    monkeypatch.setenv("SHARD_CACHE_GB", given)
    (bucket / "a.tar").write_bytes(content := os.urandom(3 * BLOCK))
    with open_cached(bucket / "a.tar") as file:
        assert file.read() == content
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_said_and_done_without(
    storage: tuple[RemotePath, Gate], tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket, _ = storage
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("SHARD_CACHE", str(tmp_path / "taken"))
    (bucket / "a.tar").write_bytes(content := os.urandom(3 * BLOCK))
    with open_cached(bucket / "a.tar") as file:
        assert file.read() == content
    assert capsys.readouterr().err.count("cannot be written") == 1


@pytest.mark.parametrize("missing", ["room", "the folder"])
def test_a_cache_that_fills_its_disk_or_vanishes_is_said_once_and_done_without(
    missing: str, storage: tuple[RemotePath, Gate], tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What outputs end a command with, a full disk and a folder that is gone, ends no reader."""
    (bucket, _), folder = storage, tmp_path / "cache"
    (bucket / "a.tar").write_bytes(content := os.urandom(5 * BLOCK))
    if missing == "room":
        monkeypatch.setattr(cache, "whole_path", partial(failing_whole, errno.ENOSPC))
    else:
        monkeypatch.setattr(BlockCache, "_write", after(lambda: shutil.rmtree(folder), BlockCache._write))
    with open_cached(bucket / "a.tar") as file:
        assert file.read() == content
        for start in (700, 4100, 2200):
            file.seek(start)
            assert file.read(50) == content[start : start + 50]
    said = capsys.readouterr().err
    assert said.count("warning") == said.count("comes from the storage every time") == 1
    assert ("No space left" if missing == "room" else "No such file") in said


def test_readers_of_one_run_say_it_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cache._said[:] = bytes(2)
    for _ in range(3):
        reader = multiprocessing.get_context("fork").Process(target=cache._say_once, args=(tmp_path, "is full"))
        reader.start()
        reader.join()
    assert capfd.readouterr().err.count("is full") == 1


@contextmanager
def failing_whole(code: int, target: Path, *, durable: bool) -> Iterator[Path]:
    """`whole_path`, while whose block the disk fails."""
    with whole_path(target, durable=durable):
        raise OSError(code, os.strerror(code))
    yield target


def after(first: Callable[[], object], method: Callable[..., None]) -> Callable[..., None]:
    def called(*arguments: object) -> None:
        first()
        method(*arguments)

    return called


@for_every(["a pipe", "a device", "a folder", "a link"])
def test_what_lies_where_a_piece_should_is_not_waited_for(
    kind: str, storage: tuple[RemotePath, Gate], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket, _ = storage
    cache._said[:] = bytes(2)
    content = kept_object(bucket)
    (mine := tmp_path / "mine").write_text("mine")
    os.utime(mine, (1, 1))
    for path in pieces(tmp_path / "cache"):
        path.unlink()
        PLACES[kind](path, mine)
    (tmp_path / "cache" / "total").unlink()
    if kind != "a folder":
        PLACES[kind](tmp_path / "cache" / "total", mine)
    for _ in range(2):
        with open_cached(bucket / "a.tar") as file:
            assert file.read() == content
    assert 1 <= capsys.readouterr().err.count("warning") <= 2
    assert (mine.read_text(), mine.stat().st_mtime) == ("mine", 1)
    shutil.rmtree(tmp_path / "cache")


PLACES: dict[str, Callable[[Path, Path], object]] = {
    "a pipe": lambda path, _: os.mkfifo(path),
    "a device": lambda path, _: path.symlink_to("/dev/tty"),
    "a folder": lambda path, _: path.mkdir(),
    "a link": lambda path, mine: path.symlink_to(mine),
}


REFUSED = [("SHARD_CACHE_GB", number) for number in ("plenty", "-3", "-1e-12", "nan", "inf", "-inf", "1e999", "3 GB")]


@for_every([*REFUSED, ("SHARD_CACHE", "~nobody-of-this-name/cache")])
def test_a_cache_that_cannot_be_is_said_when_the_shards_are_opened(
    given: tuple[str, str], storage: tuple[RemotePath, Gate], shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when the first tar is read, which may be by another process, after it was said how many steps there are."""
    folder = stored(storage[0], shards)
    with monkeypatch.context() as patched:
        patched.setenv(*given)
        with pytest.raises(InputError, match=rf"^{given[0]} .*{given[1]}"):
            ShardStore.open(folder)
        ShardStore.open(shards)  # which needs no cache


WITHOUT_CACHE = r"cache .*: first repeat the command with SHARD_CACHE_GB=0.* If it says the same: fetch .* or delete it"


def test_wrong_bytes_from_afar_are_looked_at_without_the_cache_before_anything_is_deleted(
    storage: tuple[RemotePath, Gate], shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where there is no cache, nor where the storage itself tells that a tar is another."""
    folder = stored(storage[0], shards)
    tar = folder / "shard-000000.tar"
    tar.write_bytes(bytes(len(content := tar.read_bytes())))
    with pytest.raises(InputError, match=rf"is not the tar .*{WITHOUT_CACHE}"):
        ShardStore.open(folder).frame(1)
    with pytest.raises(InputError, match=rf"does not decode .*{WITHOUT_CACHE}"):
        raise ShardStore.open(folder).damaged(1, "jpg", "no image")
    monkeypatch.setenv("SHARD_CACHE_GB", "0")
    with pytest.raises(InputError, match=r"is not the tar .*one\. Fetch that tar again"):
        ShardStore.open(folder).frame(1)
    monkeypatch.setenv("SHARD_CACHE_GB", "1")
    tar.write_bytes(content[:-100])
    with pytest.raises(InputError, match=r"expected [\d,]+ bytes, .*one\. Fetch that tar again"):
        ShardStore.open(folder).frame(1)
