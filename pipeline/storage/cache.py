"""Objects of a storage read through a cache on this machine: bounded, and shared by all processes that read them.

Pieces of an object are files of one folder, found by its address and version. What is read in a row is fetched and
kept in whole blocks; what is read here and there comes from a block that is there, else by a request for just these
bytes, which are kept as well. So an epoch's streams fill the cache for everybody, random reads of a set larger than the
cache waste no traffic, and an evaluation that is repeated goes on from what had come.

SHARD_CACHE names the folder (default: `~/.cache/sound-source-localization`), SHARD_CACHE_GB its size (default: 20; 0:
nothing is kept). The least recently used pieces make room; the bound holds with any number of processes. Files of other
names that lie in the folder are not counted and stay.
"""

import errno
import fcntl
import hashlib
import io
import os
import re
import sys
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO, cast

from manifests.errors import InputError
from manifests.whole_files import whole_path
from pipeline.storage.remote import Place, RangeReader, RemotePath

FOLDER, GIGABYTES = "SHARD_CACHE", "SHARD_CACHE_GB"
DEFAULT_GIGABYTES = 20.0
BLOCK = 4 << 20  # bytes: about twenty clips
TOTAL = "total"  # the file with the bytes of all blocks
DIGITS = 20  # of that number
KEPT = 0.9  # of the bound, after blocks have made room
READ_AHEAD = 1 << 20  # bytes
_OWN = re.compile(r"[0-9a-f]{32}(-\d+){1,2}|\.[0-9a-f]{32}(-\d+){1,2}\.\d+-[0-9a-f]{32}\.tmp")  # and what a kill left


class BlockCache:
    """A folder of blocks, at most `limit` bytes together."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit

    def read(self, name: str, size: int, start: int, end: int) -> bytes | None:
        """Bytes start..end of a block of so many bytes, None when it is not here."""
        with suppress(OSError), (self.folder / name).open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size == size:
                os.utime(file.fileno())  # used last
                return os.pread(file.fileno(), end - start, start)
        return None

    def keep(self, name: str, content: bytes) -> None:
        """Store a block where it fits, after others have made room for it. One process does so at a time.

        OSError where nothing can be written, or another program's file has the name of ours.
        """
        if len(content) > self.limit:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(self.folder / TOTAL, flags, 0o600), "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known = file.read(DIGITS + 1)
            if known.strip(b"\0") and not known.isdigit():  # zeros are what a machine that lost power left
                raise FileExistsError(errno.EEXIST, "there is a file of another program", TOTAL)
            written = len(known) == DIGITS and known.isdigit()  # else it is new, or no total
            total = (int(known) if written else self._make_room(self.limit)) + len(content)
            if total > self.limit:
                total = len(content) + self._make_room(int(KEPT * self.limit) - len(content))
            os.pwrite(file.fileno(), b"%0*d" % (DIGITS, total), 0)
            os.ftruncate(file.fileno(), DIGITS)  # before the block: a kill leaves it too high, not too low
            self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        with whole_path(self.folder / name, durable=False) as hidden, open(hidden, "wb") as handle:
            handle.write(content)

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


@cache
def _of_environment(folder: str | None, gigabytes: str | None) -> BlockCache:
    try:
        limit = int(1e9 * float(gigabytes or DEFAULT_GIGABYTES))
    except (ValueError, OverflowError) as error:
        raise InputError(f"{GIGABYTES} is {gigabytes!r}, which is no number of gigabytes.") from error
    return BlockCache(Path(folder).expanduser() if folder else Path.home() / ".cache/sound-source-localization", limit)


class CachedObject:
    """An object whose bytes are read anywhere. StorageLost when it cannot be had."""

    def __init__(self, path: RemotePath) -> None:
        self.path, facts = path, path.stat()
        self.size, self._blocks = facts.st_size, _of_environment(os.environ.get(FOLDER), os.environ.get(GIGABYTES))
        self._name = hashlib.sha256(f"{path} {facts.version}".encode()).hexdigest()[:32]
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
            _say_once(f"the cache {self._blocks.folder} cannot be written ({error}); every read goes to the storage")


@cache
def _say_once(warning: str) -> None:
    print(f"warning: {warning}", file=sys.stderr, flush=True)


def open_cached(path: Place) -> BinaryIO:
    """A file for reading at any position; one of a storage through the cache."""
    if isinstance(path, Path):
        return path.open("rb", buffering=READ_AHEAD)
    content = CachedObject(path)
    reader = RangeReader(partial(content.read, streamed=True), content.size)
    return cast(BinaryIO, io.BufferedReader(reader, READ_AHEAD))
