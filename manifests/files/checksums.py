"""Checksums of what later commands believe: written with a file, compared when it is read.

Three forms, one for each kind of file. All are SHA-256, and all travel with the file when it is copied:

- a file of ours alone (checkpoints) has the digest as its last line, after the content (`sealed_file`);
- a file that other programs read (weights) has it in its own metadata, over its named parts (`digest_of`);
- a JSON document (results, the `meta.json` of arrays) has it as the value of `sha256`, over all its other values, and
  may hold the digests of the files beside it (`sealed`).

A file without one was written by an earlier version and is taken as it is.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from manifests.files.given import opened
from manifests.files.whole import whole_file

KEY = "sha256"
MARK = b"\nsha256 "
SEAL = len(MARK) + 64 + 1  # bytes of the last line
PIECE = 1 << 20


class Damaged(Exception):
    """A file is not what was written. The message says how that shows."""


def file_sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(parts: Iterable[tuple[str, memoryview]]) -> str:
    """Digest of named parts in the order of their names."""
    digest = hashlib.sha256()
    for name, content in sorted(parts, key=lambda part: part[0]):
        digest.update(f"{name}\0{content.nbytes}\0".encode())
        digest.update(content)
    return digest.hexdigest()


# --- a file with a last line -----------------------------------------------------------------------------------------


@contextmanager
def sealed_file(target: Path, keep: Path | None = None) -> Iterator[BinaryIO]:
    """As `whole.whole_file`, with the digest after the content; what was there before becomes `keep`."""
    with whole_file(target, keep) as handle:
        hashed = _Hashed(handle)
        yield cast(BinaryIO, hashed)
        handle.write(MARK + hashed.digest.hexdigest().encode() + b"\n")


def check_seal(path: Path) -> None:
    """Damaged where a file's last line is a digest, and not that of what stands before. OSError as reading raises."""
    left = path.stat().st_size - SEAL
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while left > 0 and (piece := file.read(min(left, PIECE))):
            digest.update(piece)
            left -= len(piece)
        seal = file.read(SEAL)
    if seal.startswith(MARK) and seal != MARK + digest.hexdigest().encode() + b"\n":
        raise Damaged("its content is not what was written: the checksum is another")


class _Hashed:
    """What a writer needs of a file, hashing on the way."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle, self.digest = handle, hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self._handle.write(content)

    def flush(self) -> None:
        self._handle.flush()


# --- a JSON document -------------------------------------------------------------------------------------------------


def sealed(document: Mapping[str, Any], files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The document with its digest, and the digests of `files` by name."""
    return {**document, KEY: {**(files or {}), "document": _digest_of_document(document)}}


def check_sealed(document: Mapping[str, Any]) -> dict[str, str]:
    """Damaged where a document is not what was written; the digests it holds of other files, by name."""
    stored = document.get(KEY)
    if not isinstance(stored, dict) or "document" not in stored:
        return {}
    if stored["document"] != _digest_of_document(document):
        raise Damaged("its values are not those that were written: the checksum is another")
    return {name: str(digest) for name, digest in stored.items() if name != "document"}


def check_file(path: Path, digests: Mapping[str, str]) -> None:
    """Damaged where a file is not the one whose digest is among these, under its name; where none is, nothing."""
    if digests.get(path.name, "") not in ("", file_sha256(path)):
        raise Damaged("its content is not what was written: the checksum is another")


def _digest_of_document(document: Mapping[str, Any]) -> str:
    values = {name: value for name, value in document.items() if name != KEY}
    values = json.loads(json.dumps(values))  # names that are numbers become texts, as in the file
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
