"""Clips inside tar files: list the members once, read one clip's bytes later.

A plain tar is read at random by offset; a compressed one only forwards, so its clips stay in archive order and one
task reads them all in one pass. Member names are data: absolute paths, `..` and links are refused, never followed.
"""

import bz2
import hashlib
import json
import lzma
import math
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from functools import partial
from itertools import chain
from pathlib import PurePosixPath
from tarfile import InvalidHeaderError, ReadError, TarFile, TruncatedHeaderError  # pyrefly: ignore[missing-module-attribute]
from typing import IO, Any, Self, cast

from manifests.files.given import MOST_UNPACKED_RATIO, check_lasting, opened, reason
from pipeline.storage.files import read_whole, write_whole
from pipeline.storage.remote import Place, RemotePath, Status

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
LARGEST_MEMBER = 1 << 30  # bytes; one member is held in memory, and a tar header can claim any size
LARGEST_NAME = 1 << 20  # bytes of a long name or of other words about a member, which the library holds in memory
# Bytes that a compressed archive may unpack to: videos hardly shrink, one made to fill a machine does 1,000-fold.
MOST_UNPACKED = 4 << 30
WORDS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
CHECKSUM = slice(148, 156)  # of a header, in octal digits: the sum of its bytes, these eight taken as spaces
STEP = 1 << 16  # bytes that are read, and unpacked to, at a time
UNPACKERS = (
    (b"\x1f\x8b", partial(zlib.decompressobj, wbits=16 + zlib.MAX_WBITS)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ", lzma.LZMADecompressor),
    (b"]\0\0\x80", lzma.LZMADecompressor),
)
BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A regular file of an archive. `offset` is its content's place in a plain tar, None in a compressed one.

    `position` counts the archive's members from 0; `problem` says why the member must not be read, None when it may.
    """

    name: str
    position: int
    offset: int | None
    size: int
    problem: str | None = None


def is_archive(name: str) -> bool:
    """Whether a file name is that of an archive this module reads."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def is_compressed(path: Place) -> bool:
    """Whether the archive can only be read forwards, by its name or by what it holds: some compress and keep the name.
    Raises OSError where that cannot be seen."""
    if not path.name.lower().endswith(".tar"):
        return True
    with _handle(path) as handle:
        return _unpacker(handle.read(tarfile.BLOCKSIZE)) is not None


def _unpacker(head: bytes) -> Callable[[], Any] | None:
    """What unpacks data that begin so, None for a plain tar: the name of its first member may begin as they do."""
    if _is_header(head[: tarfile.BLOCKSIZE]):
        return None
    return next((begin for magic, begin in UNPACKERS if head.startswith(magic)), None)


def _is_header(block: bytes) -> bool:
    """Whether its checksum makes it a tar's header, of whatever age: those before POSIX.1-1988 have no `ustar`."""
    if len(block) < tarfile.BLOCKSIZE:
        return False
    try:
        stated = tarfile.nti(block[CHECKSUM])  # pyrefly: ignore[missing-attribute]
    except InvalidHeaderError:
        return False
    return stated in tarfile.calc_chksums(block)  # pyrefly: ignore[missing-attribute]


def list_members(path: Place, memory: Place | None = None) -> tuple[list[ArchiveMember], str | None]:
    """All members that are files or links, and what broke the archive (None when it could be read to its end).

    A compressed archive must be unpacked to be listed: the answer is kept in the folder `memory` for the next time.
    """
    try:
        compressed = is_compressed(path)
    except OSError as error:
        check_lasting(path, error)
        return [], f"{type(error).__name__}: {error}"
    if memory is None or not compressed:
        return _list(path, compressed)
    identity = f"{path.resolve()} {version_of(path)}".encode("utf-8", "surrogateescape")
    kept = memory / f"{hashlib.sha256(identity).hexdigest()}.json"
    if kept.exists() and (remembered := _remembered(kept)) is not None:
        return remembered
    members, broken = _list(path, compressed)
    memory.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps([[astuple(member) for member in members], broken]).encode())
    return members, broken


def _remembered(kept: Place) -> tuple[list[ArchiveMember], str | None] | None:
    """What was kept of an archive; None of a file that is damaged: the archive says it again."""
    try:
        rows, broken = json.loads(read_whole(kept))
        return [ArchiveMember(*row) for row in rows], broken
    except (ValueError, TypeError):
        return None


def version_of(path: Place) -> str:
    """Size and date of a file as it is now: another one when its content changes."""
    state = path.stat()
    return f"{state.st_size} {state.version if isinstance(state, Status) else state.st_mtime_ns}"


def _list(path: Place, compressed: bool) -> tuple[list[ArchiveMember], str | None]:
    members: list[ArchiveMember] = []
    try:
        with _open(path, compressed) as archive:
            for position, info in enumerate(_headers(archive, path, compressed)):
                if not info.isdir():
                    members.append(_member(info, position, seekable=not compressed))
    except BROKEN as error:
        check_lasting(path, error)
        return members, f"{type(error).__name__}: {error}"
    return members, None


def _member(info: tarfile.TarInfo, position: int, seekable: bool) -> ArchiveMember:
    return ArchiveMember(info.name, position, info.offset_data if seekable else None, info.size, _problem(info))


def _problem(info: tarfile.TarInfo) -> str | None:
    if info.name.startswith("/") or ".." in PurePosixPath(info.name).parts:
        return "its path leads out of the archive"
    if not info.isreg():
        return "it is a link or a device, not a file"
    if info.issparse():
        return "it is stored with holes (tar --sparse); pack it without"
    return f"it claims {info.size} bytes, more than {LARGEST_MEMBER}" if info.size > LARGEST_MEMBER else None


class _StrictHeader(tarfile.TarInfo):
    """A member header that complains where the library takes garbage for the archive's end or obeys a hostile size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0:  # the library would go back and meet this header again, for ever
            raise InvalidHeaderError("a negative size")
        if info.type in WORDS and info.size > LARGEST_NAME:
            raise InvalidHeaderError(f"a name of {info.size} bytes")
        return info

    @classmethod
    def fromtarfile(cls, tarfile: TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except (InvalidHeaderError, TruncatedHeaderError) as error:
            raise ReadError(f"no member header at byte {tarfile.offset} ({error})") from error


def _open(path: Place, compressed: bool) -> TarFile:
    """A stream for compressed archives (`r|` never seeks back), a seekable reader for plain ones."""
    if compressed:
        return tarfile.open(
            fileobj=cast(IO[bytes], _Unpacked(path)), mode="r|", bufsize=STEP, tarinfo=_StrictHeader, errorlevel=1
        )
    return tarfile.open(fileobj=_handle(path), mode="r:", tarinfo=_StrictHeader, errorlevel=1)


def _handle(path: Place) -> IO[bytes]:
    return path.open("rb") if isinstance(path, RemotePath) else opened(path)


class _Unpacked:
    """All that a compressed archive unpacks to; the library leaves out what follows its first compressed stream."""

    def __init__(self, path: Place) -> None:
        self._pieces = _unpack(path)

    def read(self, size: int) -> bytes:
        """The next bytes: never more than STEP, which is what the library asks for; none at the end."""
        return next(self._pieces, b"")


def _unpack(path: Place) -> Iterator[bytes]:
    with _handle(path) as handle:
        packed = handle.read(STEP)
        begin = _unpacker(packed)
        if begin is None:  # not compressed, whatever its name says
            yield from chain([packed], iter(lambda: handle.read(STEP), b""))
            return
        unpacker = None
        while packed:
            unpacker = unpacker or begin()
            yield from _unpack_piece(unpacker, packed)
            packed = unpacker.unused_data if unpacker.eof else b""
            if unpacker.eof:
                unpacker, packed = None, packed.lstrip(b"\0")  # zeros may stand between streams and after the last
            while not packed and (piece := handle.read(STEP)):
                packed = piece if unpacker else piece.lstrip(b"\0")
        if unpacker:
            raise EOFError("the compressed data are cut off")


def _unpack_piece(unpacker: Any, packed: bytes) -> Iterator[bytes]:
    """In steps, as a few compressed bytes can claim gigabytes."""
    while not unpacker.eof and (piece := unpacker.decompress(packed, STEP)):
        packed = getattr(unpacker, "unconsumed_tail", b"")  # zlib hands back what the others keep
        yield piece


def _headers(archive: TarFile, path: Place, compressed: bool) -> Iterator[tarfile.TarInfo]:
    most = MOST_UNPACKED + MOST_UNPACKED_RATIO * path.stat().st_size if compressed else math.inf
    while (info := _next(archive)) is not None:
        # pyrefly: ignore[missing-attribute]
        archive.members = []  # the library keeps every header it met; those of 200,000 clips are not small
        if info.size < 0:
            raise ReadError(f"the member {info.name[:80]} claims a negative size")
        if info.offset_data + info.size > most:
            raise ReadError(f"it unpacks to more than {most} bytes, as no archive of videos does")
        yield info
    _check_end(archive, most)


def _next(archive: TarFile) -> tarfile.TarInfo | None:
    """The next member's header. The library believes what extended headers and maps of holes say, and fails on numbers
    that are none, or too large for a file, in whatever way its arithmetic does."""
    try:
        return archive.next()
    except BROKEN:
        raise
    except Exception as error:
        raise ReadError(f"no member header at byte {archive.offset} ({reason(error)})") from error


def _check_end(archive: TarFile, most: float) -> None:
    """Two blocks of zeros and only zeros after them: the library takes one block, or none at all, for an end."""
    source = archive.fileobj
    zeros = source.tell() - archive.offset
    while piece := source.read(STEP):
        if piece.strip(b"\0"):
            raise ReadError(f"data follow the zeros at byte {archive.offset}, where archives end")
        zeros += len(piece)
        if archive.offset + zeros > most:
            raise ReadError(f"it unpacks to more than {most} bytes, as no archive of videos does")
    if zeros < 2 * tarfile.BLOCKSIZE:
        raise ReadError(f"it stops at byte {archive.offset + zeros} without an end, so it may be cut off")


class ForwardReader:
    """Contents of a compressed archive's members, asked for in archive order."""

    def __init__(self, path: Place) -> None:
        self._archive = _open(path, compressed=True)
        self._headers = enumerate(_headers(self._archive, path, compressed=True))

    def read(self, position: int) -> bytes:
        """The content of member `position`; positions must increase. Raises one of BROKEN when it cannot be read."""
        for reached, info in self._headers:
            if reached == position:
                return self._content(info)
        raise EOFError(f"the archive ends before member {position}")

    def _content(self, info: tarfile.TarInfo) -> bytes:
        handle = self._archive.extractfile(info)
        content = b"" if handle is None else handle.read(LARGEST_MEMBER)
        if len(content) != info.size:
            raise EOFError(f"member {info.name} ends after {len(content)} of {info.size} bytes")
        return content

    def close(self) -> None:
        """Release the archive."""
        self._archive.close()
