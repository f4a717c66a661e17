"""A clip's bytes, wherever they lie: loose, in a plain tar, in a compressed one, here or on object storage."""

import hashlib
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from manifests.files.given import opened, read_bytes
from manifests.machine import check_still_there, is_machines_fault
from pipeline.jobs.decoder_messages import ClipToDecode
from pipeline.shards.record import Rejected
from pipeline.sources.archives import ForwardReader, version_of
from pipeline.storage.remote import Place, RemotePath, listed

HELD_IN_MEMORY = 64 << 20  # bytes; larger files are decoded from disk instead


@dataclass(frozen=True)
class ClipContent:
    """A clip's bytes, or the path of a file too large to hold; `audio` those of its other file, where it has one."""

    media: bytes | Path
    audio: bytes | Path | None
    sha256: str


class ClipReader:
    """Source bytes of clips: loose files, members of plain tars by offset, members of compressed ones in order."""

    def __init__(self) -> None:
        self._archive: ForwardReader | None = None
        self._file, self._position = ("", ""), -1
        self._copies: list[IO[bytes]] = []

    def read(self, clip: ClipToDecode) -> ClipContent:
        """All of a clip, until the next one is read; Rejected when it cannot be read."""
        self._copies.clear()
        media, sha256 = self._read(clip)
        if clip.audio is None:
            return ClipContent(media, None, sha256)
        audio, of_audio = self._read(replace(clip, file=clip.audio))
        return ClipContent(media, audio, hashlib.sha256(f"{sha256}{of_audio}".encode()).hexdigest())

    def _read(self, clip: ClipToDecode) -> tuple[bytes | Path, str]:
        """One file's content (its path when too large to hold) and sha256."""
        if clip.size == 0:
            raise Rejected("unreadable", "the file is empty (0 bytes)")
        try:
            content = self._content(clip)
            if isinstance(content, bytes):
                return content, hashlib.sha256(content).hexdigest()
            with opened(content) as handle:
                return content, hashlib.file_digest(handle, "sha256").hexdigest()
        except Exception as error:  # of a file, or an archive around it, that is not what it was when it was listed
            if isinstance(error, OSError) and is_machines_fault(error):
                raise
            if isinstance(error, FileNotFoundError) and isinstance(path := listed(clip.file), Path):
                check_still_there(path)
            raise Rejected("unreadable", f"{type(error).__name__}: {error}") from error

    def _content(self, clip: ClipToDecode) -> bytes | Path:
        path = listed(clip.file)
        if clip.member is None:
            return self._local(path) if clip.size > HELD_IN_MEMORY else _whole(path)
        return self._forward(path, clip.position) if clip.is_compressed else _slice(path, clip)

    def _local(self, path: Place) -> Path:
        """A file too large to hold, on this machine until the next clip; a pair has two."""
        if isinstance(path, Path):
            return path
        copy = tempfile.NamedTemporaryFile(prefix="clip-")  # noqa: SIM115  # deleted with its last reference
        self._copies.append(copy)
        path.download(copy.name)
        return Path(copy.name)

    def _forward(self, path: Place, position: int) -> bytes:
        """Goes on where the last clip was, if that is before this one in the same, unchanged archive."""
        file = (str(path), version_of(path))
        if self._archive is None or self._file != file or self._position >= position:
            if self._archive is not None:
                self._archive.close()
            self._archive = ForwardReader(path)
        self._file, self._position = file, position
        return self._archive.read(position)


def _whole(path: Place) -> bytes:
    """A loose file small enough to hold, as it was listed; TooLarge when it has grown beyond that."""
    return path.read_bytes() if isinstance(path, RemotePath) else read_bytes(path, HELD_IN_MEMORY)


def _slice(path: Place, clip: ClipToDecode) -> bytes:
    """A member of a plain tar."""
    assert clip.offset is not None
    if isinstance(path, RemotePath):
        content = path.read_range(clip.offset, clip.size)
    else:
        with opened(path) as handle:
            content = os.pread(handle.fileno(), clip.size, clip.offset)
    if len(content) < clip.size:
        raise EOFError(f"the archive ends after {len(content)} of the member's {clip.size} bytes")
    return content
