"""Objects of a storage read through a cache on this machine: bounded, and shared by all processes that read them.

Pieces of an object are files of one folder, found by its address and version. What is read in a row is fetched and
kept in whole blocks; what is read here and there comes from a block that is there, else by a request for just these
bytes, which are kept as well. So an epoch's streams fill the cache for everybody, random reads of a set larger than the
cache waste no traffic, and an evaluation that is repeated goes on from what had come.

After its content a piece has a checksum for every PAGE of it, which is compared at every read, of the pages that are
read: pieces are not brought to the disk, so a machine that loses power may leave one of the right length full of zeros.
One that is not what was kept is fetched again, which is said. CRC-32 is for accidents, not for a forger, who could as
well write the checksums; it costs a small part of what decoding costs.

SHARD_CACHE names the folder (default: `~/.cache/sound-source-localization`), SHARD_CACHE_GB its size (default: 20; 0:
nothing is kept). The least recently used pieces make room; the bound holds with any number of processes. Files of other
names that lie in the folder are not counted and stay.
"""

import errno
import fcntl
import hashlib
import io
import math
import mmap
import os
import re
import stat
import sys
import zlib
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO, cast

from manifests.errors import InputError, WorkFailed
from manifests.files.given import NotAFile, opened, understood
from manifests.files.whole import whole_path
from pipeline.storage.addresses import check_here
from pipeline.storage.remote import Place, RangeReader, RemotePath

FOLDER, GIGABYTES = "SHARD_CACHE", "SHARD_CACHE_GB"
DEFAULT_FOLDER, DEFAULT_GIGABYTES = "~/.cache/sound-source-localization", 20.0
BLOCK = 4 << 20  # bytes: about twenty clips
PAGE = 1 << 16  # bytes under one checksum: a clip in the middle of a block is compared without the rest
SUM = 4  # bytes of a checksum
FORM = "with checksums"  # of pieces; those of an earlier form have other names, and make room in their turn
TOTAL = "total"  # the file with the bytes of all blocks
DIGITS = 20  # of that number
KEPT = 0.9  # of the bound, after blocks have made room
READ_AHEAD = 1 << 20  # bytes
_OWN = re.compile(r"[0-9a-f]{32}(-\d+){1,2}|\.[0-9a-f]{32}(-\d+){1,2}\.\d+-[0-9a-f]{32}\.tmp")  # and what a kill left

READING, WRITING = 0, 1  # what a person is told about
_said = mmap.mmap(-1, 2)  # whether that was said, by this process or by a reader that it has forked


class BlockCache:
    """A folder of blocks, at most `limit` bytes together."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit

    def read(self, name: str, size: int, start: int, end: int) -> bytes | None:
        """Bytes start..end of a block of so many bytes, None when it is not here. What is not as it was kept goes."""
        with suppress(OSError):
            content = self._as_kept(name, size, start, end)
            if content is None:
                _say_once(self.folder, "has pieces that are not what was kept in it (a machine that lost power, a disk "
                          "that fails): they are fetched again")  # fmt: skip
                os.unlink(self.folder / name)
            return content
        return None

    def _as_kept(self, name: str, size: int, start: int, end: int) -> bytes | None:
        """As `_as_kept` of a block; None, too, of what is no file. OSError where there is nothing."""
        with suppress(NotAFile), opened(self.folder / name) as file:  # a pipe would be waited for, for ever
            content = _as_kept(file.fileno(), name, size, start, end)
            if content is not None:
                os.utime(file.fileno())  # used last
            return content
        return None

    def keep(self, name: str, content: bytes) -> None:
        """Store a block where it fits, after others have made room for it. One process does so at a time.

        OSError where nothing can be written, or something of another program has the name of ours.
        """
        sums = _checksums(name, 0, content)
        size = len(content) + len(sums)
        if size > self.limit:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(self.folder / TOTAL, flags, 0o600), "r+b", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileExistsError(errno.EEXIST, "there is something that is no file", TOTAL)
            fcntl.flock(file, fcntl.LOCK_EX)
            known = file.read(DIGITS + 1)
            if known.strip(b"\0") and not known.isdigit():  # zeros are what a machine that lost power left
                raise FileExistsError(errno.EEXIST, "there is a file of another program", TOTAL)
            written = len(known) == DIGITS and known.isdigit()  # else it is new, or no total
            total = (int(known) if written else self._make_room(self.limit)) + size
            if total > self.limit:
                total = size + self._make_room(int(KEPT * self.limit) - size)
            os.pwrite(file.fileno(), b"%0*d" % (DIGITS, total), 0)
            os.ftruncate(file.fileno(), DIGITS)  # before the block: a kill leaves it too high, not too low
            self._write(name, content, sums)

    def _write(self, name: str, content: bytes, sums: bytes) -> None:
        try:
            with whole_path(self.folder / name, durable=False) as hidden, open(hidden, "wb") as handle:
                handle.write(content)
                handle.write(sums)
        except (InputError, WorkFailed) as error:  # of outputs that a command cannot do without
            raise error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error)) from None

    def _make_room(self, allowed: int) -> int:
        """Remove the blocks used longest ago until the rest has no more than the allowed bytes; returns what it has.

        The folder may hold files that are not the cache's.
        """
        files = [(entry.stat(), entry.path) for entry in os.scandir(self.folder) if _OWN.fullmatch(entry.name)]
        rest = sum(facts.st_size for facts, _ in files)
        for facts, path in sorted(files, key=lambda each: each[0].st_mtime):
            if rest <= max(0, allowed):
                break
            with suppress(FileNotFoundError):
                os.unlink(path)
            rest -= facts.st_size
        return rest


def _as_kept(file: int, name: str, size: int, start: int, end: int) -> bytes | None:
    """Bytes start..end of an open block of so many bytes, None where they, or its length, are others than were kept."""
    first, last = start // PAGE, _pages(end)
    content = os.pread(file, min(last * PAGE, size) - first * PAGE, first * PAGE)
    sums = os.pread(file, SUM * (last - first), size + SUM * first)
    if os.fstat(file).st_size != size + SUM * _pages(size) or sums != _checksums(name, first, content):
        return None
    return content[start - first * PAGE : end - first * PAGE]


def _pages(size: int) -> int:
    """How many pages so many bytes lie in."""
    return -(-size // PAGE)


def _checksums(name: str, first: int, content: bytes) -> bytes:
    """Of each page of what a piece has from page `first` on: a page elsewhere, or of another piece, has another."""
    view = memoryview(content)
    pages = (view[start : start + PAGE] for start in range(0, len(view), PAGE))
    sums = (zlib.crc32(page, zlib.crc32(f"{name} {number}".encode())) for number, page in enumerate(pages, first))
    return b"".join(each.to_bytes(SUM, "little") for each in sums)


def cache_of_environment() -> BlockCache:
    """The cache that the environment names. InputError where it says nothing that can be."""
    return _of_environment(os.environ.get(FOLDER), os.environ.get(GIGABYTES))


@cache
def _of_environment(folder: str | None, gigabytes: str | None) -> BlockCache:
    try:
        limit = float(gigabytes or DEFAULT_GIGABYTES)
    except ValueError:
        limit = math.nan
    if not 0 <= limit < math.inf:
        raise InputError(
            f"{GIGABYTES} is {gigabytes!r}, which is no number of gigabytes. Give one from 0 on (0: nothing is kept), "
            f"or unset it for {DEFAULT_GIGABYTES:g}."
        )
    check_here(folder, FOLDER)
    with understood(f"{FOLDER} ({folder or DEFAULT_FOLDER})", "is no folder", f"Set {FOLDER} to one."):  # of no user
        return BlockCache(Path(folder or DEFAULT_FOLDER).expanduser(), int(1e9 * limit))


def check_without_cache(place: Place, remedy: str) -> str:
    """What to do about wrong bytes of a file: its `remedy`, after a look without the cache where that may have had a
    part of them, which came wrong from the storage."""
    if isinstance(place, Path) or not (blocks := cache_of_environment()).limit:
        return remedy
    return (
        f"Parts of it may have come from the cache {blocks.folder}: first repeat the command with {GIGABYTES}=0, which "
        f"reads without it. If that works, remove the cache. If it says the same: {remedy[0].lower()}{remedy[1:]}"
    )


class CachedObject:
    """An object whose bytes are read anywhere. StorageLost when it cannot be had."""

    def __init__(self, path: RemotePath) -> None:
        self.path, facts = path, path.stat()
        self.size, self._blocks = facts.st_size, cache_of_environment()
        self._name = hashlib.sha256(f"{path} {facts.version} {FORM}".encode()).hexdigest()[:32]
        self._next = 0  # the block after the one that was read last

    def read(self, start: int, size: int, *, streamed: bool = False) -> bytes:
        """`size` bytes from `start` on, fewer at the object's end; `streamed`: what follows will be read next."""
        end = min(start + size, self.size)
        first, last = start // BLOCK, (end - 1) // BLOCK
        in_a_row = streamed or first in (self._next - 1, self._next)
        self._next = last + 1
        pieces = [self._piece(number, start, end, in_a_row) for number in range(first, last + 1)] if end > start else []
        if None in pieces:
            return self._these_bytes(start, end - start)
        return b"".join(cast(list[bytes], pieces))

    def _piece(self, number: int, start: int, end: int, fetch: bool) -> bytes | None:
        """What a block has of start..end, from the cache or fetched and kept; None where it is not to be fetched."""
        name, first = f"{self._name}-{number}", number * BLOCK
        size = min(BLOCK, self.size - first)
        wanted = max(start - first, 0), min(end - first, size)
        content = self._blocks.read(name, size, *wanted)
        if content is not None or not fetch:
            return content
        block = self.path.read_exactly(first, size)
        self._keep(name, block)
        return block[slice(*wanted)]

    def _these_bytes(self, start: int, size: int) -> bytes:
        """A piece that is no block, from the cache or fetched and kept."""
        name = f"{self._name}-{start}-{size}"
        content = self._blocks.read(name, size, 0, size)
        if content is None:
            content = self.path.read_exactly(start, size)
            self._keep(name, content)
        return content

    def _keep(self, name: str, content: bytes) -> None:
        try:
            self._blocks.keep(name, content)
        except OSError as error:
            said = f"cannot be written ({error.strerror or error}); what is not in it comes from the storage every time"
            _say_once(self._blocks.folder, said, WRITING)


def _say_once(folder: Path, warning: str, about: int = READING) -> None:
    """However many pieces it is about, and however many readers meet it."""
    if not _said[about]:
        _said[about] = 1
        print(f"warning: the cache {folder} {warning}", file=sys.stderr, flush=True)


def open_cached(path: Place) -> BinaryIO:
    """A file for reading at any position; one of a storage through the cache."""
    if isinstance(path, Path):
        return path.open("rb", buffering=READ_AHEAD)
    content = CachedObject(path)
    reader = RangeReader(partial(content.read, streamed=True), content.size)
    return cast(BinaryIO, io.BufferedReader(reader, READ_AHEAD))
