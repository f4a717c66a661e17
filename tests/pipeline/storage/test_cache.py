"""Reading shards of an S3 server through a bounded cache: what is fetched, what is kept, and what the server may do."""

import errno
import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from damaged_tars import equal_shards
from every import for_every
from s3_server import ENVIRONMENT, Gate, gate

from manifests.errors import InputError
from manifests.files.whole import whole_path
from pipeline.shards.store import ShardStore
from pipeline.storage import cache, remote
from pipeline.storage.cache import BlockCache, CachedObject, open_cached
from pipeline.storage.remote import RemotePath, StorageLost, place

BLOCK, PAGE = 1000, 400  # bytes


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


def kept_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in pieces(folder))


def pieces(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.name != "total"]


def ranges(kept: Gate) -> list[str]:
    return [each for each in kept.asked if each.startswith("bytes=")]


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
    (bucket / "a.tar").write_bytes(content := os.urandom(3 * BLOCK))
    with open_cached(bucket / "a.tar") as file:
        file.read()
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
    (bucket / "a.tar").write_bytes(content := os.urandom(3 * BLOCK))
    with open_cached(bucket / "a.tar") as file:
        file.read()
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


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two tars of four clips."""
    return equal_shards(tmp_path / "shards", (4, 4))


def stored(bucket: RemotePath, shards: Path) -> RemotePath:
    """A folder of shards in the bucket."""
    for path in shards.iterdir():
        (bucket / "shards" / path.name).write_bytes(path.read_bytes())
    return bucket / "shards"


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
