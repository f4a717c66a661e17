"""The tars of a shard folder, read by offset and held to what the folder's manifest says of them.

A tar may have been cut off, packed anew, renamed, or replaced by that of another ingest; what lies at an offset is then
another clip's, or no member at all. So a tar's size is compared when it is opened, and every member is read with its
header, which must be that of the member asked for: a microsecond or two beside the millisecond that decoding takes.
"""

import os
import tarfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from manifests.errors import InputError
from manifests.files.given import not_read, opened, reason
from manifests.machine import MachineFailed, may_pass
from pipeline.shards.record import Member
from pipeline.storage.cache import CachedObject, cache_of_environment, check_without_cache
from pipeline.storage.remote import Place, RemotePath

OPEN_TARS = 256
END = 2 * tarfile.BLOCKSIZE  # two blocks of zeros, and then zeros up to a whole record
SIZE_IN_HEADER = slice(124, 135)  # eleven octal digits
Decoded = TypeVar("Decoded")
MAKE_AGAIN = (
    "Fetch that tar again from where it was made, or delete it and repeat its `pipeline ingest` command, which makes "
    "what is missing"
)


def after_padding(end: int) -> int:
    """Where the next member of a tar begins after content that ends at byte `end`."""
    return -(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


class Tars:
    """The tars of one manifest: `ends` gives the byte after each one's last content; `remedy` is what to do about one
    that is not what `manifest` describes."""

    def __init__(self, folder: Place, manifest: str, ends: Mapping[str, int], remedy: str = MAKE_AGAIN) -> None:
        self.folder, self._manifest, self._ends, self._remedy = folder, manifest, ends, remedy
        for tar in ends:
            self._check_name(tar)
        if isinstance(folder, RemotePath):
            cache_of_environment()  # what is wrong with it is said now, not by a reader in the middle of the work
        self._opened = lru_cache(OPEN_TARS)(self._open)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the tars anew: readers may be started without a copy of this one's memory."""
        return type(self), (self.folder, self._manifest, self._ends, self._remedy)

    def read(self, tar: str, name: str, member: Member) -> bytes:
        """The content of the member `name`. InputError when it is not there, or the tar is of another size."""
        encoded = name.encode("utf-8", "surrogateescape")
        header, content = self._read(tar, member, _header_size(encoded))
        if not _is_header_of(header, encoded, member.size):
            expected = f"{name} of {member.size:,} bytes at byte {member.offset:,}"
            raise self.another(tar, expected, _described(header))
        if len(content) != member.size:
            raise self.another(tar, f"{member.size:,} bytes of {name}", f"{len(content):,}")
        return content

    def decoded(self, tar: str, name: str, content: bytes, decode: Callable[[bytes], Decoded]) -> Decoded:
        """What `decode` makes of a member's content. InputError when it raises anything: that is of damaged bytes."""
        try:
            return decode(content)
        except Exception as error:
            raise self.damaged(tar, name, reason(error)) from error

    def path(self, tar: str) -> Place:
        """Where a tar lies. InputError when it is missing or of another size."""
        self._opened(tar)
        return self.folder / tar

    def _check_name(self, tar: object) -> None:
        """InputError for a tar that could lie outside the folder."""
        if not isinstance(tar, str) or tar in ("", ".", "..") or "/" in tar or "\0" in tar:
            raise InputError(
                f"{self.folder / self._manifest} names a tar {tar!r}, which is not the bare name of a file in "
                f"{self.folder}. It was edited, or made by another program. {self._remedy}."
            )

    def another(self, tar: str, expected: str, found: str) -> InputError:
        """The error of a tar that is not what the manifest says: what was expected in it, and what was found."""
        return self._another(tar, expected, found, check_without_cache(self.folder, self._remedy))

    def _another(self, tar: str, expected: str, found: str, remedy: str) -> InputError:
        return InputError(
            f"{self.folder / tar} is not the tar that {self._manifest} describes: expected {expected}, found {found}. "
            f"It was cut off, packed anew, renamed, or replaced by another one. {remedy}."
        )

    def damaged(self, tar: str, name: str, seen: object) -> InputError:
        """The error of a member that lies where it should and does not decode; `seen` is what the decoder says."""
        remedy = check_without_cache(self.folder, self._remedy)
        return InputError(
            f"{self.folder / tar} is damaged: {name} lies where it should and does not decode ({seen}). {remedy}."
        )

    def unreadable(self, tar: str, error: OSError) -> InputError | MachineFailed:
        """The error of a tar that its disk or storage does not give; MachineFailed where that may pass."""
        if may_pass(error):
            return not_read(self.folder / tar, error)
        problem = error.strerror or error.args[0]  # readers of streams add arguments of their own
        return InputError(f"{self.folder / tar} cannot be read ({problem}). {self._remedy}.")

    def _read(self, tar: str, member: Member, header_size: int) -> tuple[bytes, bytes]:
        try:
            return self._opened(tar).read(member, header_size)
        except OSError as error:
            raise self.unreadable(tar, error) from error

    def _open(self, tar: str) -> "_OpenTar":
        path = self.folder / tar
        try:
            opened: _OpenTar = _RemoteTar(path) if isinstance(path, RemotePath) else _LocalTar(path)
        except OSError as error:
            raise self.unreadable(tar, error) from error
        wanted = -(-(after_padding(self._ends[tar]) + END) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
        if opened.size != wanted:
            raise self._another(tar, f"{wanted:,} bytes", f"{opened.size:,}", self._remedy)  # no cache tells a size
        return opened


class _OpenTar(Protocol):
    size: int  # bytes of the whole file

    def read(self, member: Member, header_size: int) -> tuple[bytes, bytes]:
        """The bytes before a member's content, and the content; both shorter where the file ends."""


class _LocalTar:
    """An open file, closed with its last reference: never in the middle of a read, whichever thread forgets it."""

    def __init__(self, path: Path) -> None:
        with opened(path) as handle:
            self._descriptor = os.dup(handle.fileno())
        self.size = os.fstat(self._descriptor).st_size

    def read(self, member: Member, header_size: int) -> tuple[bytes, bytes]:
        header = os.pread(self._descriptor, header_size, member.offset - header_size)
        return header, os.pread(self._descriptor, member.size, member.offset)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


class _RemoteTar:
    """An object, read through this machine's cache, else with one request a member."""

    def __init__(self, path: RemotePath) -> None:
        self._content = CachedObject(path)
        self.size = self._content.size

    def read(self, member: Member, header_size: int) -> tuple[bytes, bytes]:
        both = self._content.read(member.offset - header_size, header_size + member.size)
        return both[:header_size], both[header_size:]


# --- headers, as pipeline.shards.writer writes them ------------------------------------------------------------------


def _header_size(name: bytes) -> int:
    """Bytes of a member's header; a long name has a header and blocks of its own before it."""
    if len(name) <= tarfile.LENGTH_NAME:
        return tarfile.BLOCKSIZE
    return 2 * tarfile.BLOCKSIZE + after_padding(len(name) + 1)


def _is_header_of(header: bytes, name: bytes, size: int) -> bool:
    last = header[-tarfile.BLOCKSIZE :]
    if last[SIZE_IN_HEADER] != b"%011o" % size or not last.startswith(name[: tarfile.LENGTH_NAME]):
        return False
    if len(name) < tarfile.LENGTH_NAME:
        return last[len(name)] == 0
    return len(name) == tarfile.LENGTH_NAME or header[tarfile.BLOCKSIZE :].startswith(name + b"\0")


def _described(header: bytes) -> str:
    """A header in words."""
    try:
        found = tarfile.TarInfo.frombuf(header[-tarfile.BLOCKSIZE :], "utf-8", "backslashreplace")
    except tarfile.HeaderError:
        return "no member that begins there"
    return f"{found.name} of {found.size:,} bytes"
