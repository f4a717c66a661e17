"""What a file really holds, told by how it begins: for the sentence that answers a file of another kind.

Readers try what they expect first and ask here when that fails, or where no file that they read can begin so.
"""

from dataclasses import dataclass
from pathlib import Path

from manifests.files.given import opened

HDF5 = b"\x89HDF\r\n\x1a\n"
BEGINNING = 1 << 12  # bytes that tell
JSON, TEXT = "JSON", "text"
PARQUET, ARRAYS, ARRAY = "a parquet file", "an archive of numpy's arrays (.npz)", "an array of numpy (.npy)"
_CONVERT = (
    "import h5py; rows = open('Annotations.txt').read().splitlines(); "
    "print(*(rows[i] for i in h5py.File('test_order.h5')['order'][:]), sep='\\n')"
)


@dataclass(frozen=True)
class Kind:
    """A kind of file in words that follow "is", and what to do about one in place of text."""

    words: str
    remedy: str = "Give the list or annotation file."


_AVE = Kind(
    "an HDF5 file",
    f'AVE\'s split orders become a list of clips with python -c "{_CONVERT}" > ave_test.txt, where h5py is installed; '
    "give that file.",
)
_PACKED = Kind("packed by gzip", "Unpack it, or let its name end in .gz.")
_PAGE = Kind("a web page", "Servers send one in place of a file that is not there. Download it again.")
_POINTER = Kind("the pointer that Git LFS leaves for a file", "`git lfs pull` fetches the file itself.")
_KINDS = {
    HDF5: _AVE,
    b"PAR1\x15": Kind(PARQUET),  # the first field of what follows; a clip's name can begin with PAR1
    b"\x93NUMPY": Kind(ARRAY),
    b"\x1f\x8b": _PACKED,
    b"\x89PNG\r\n\x1a\n": Kind("a PNG picture"),
    b"\xff\xd8\xff": Kind("a JPEG picture"),
    b"%PDF-": Kind("a PDF file"),
    b"version https://git-lfs.github.com/spec": _POINTER,
    **{bytes([0x80, version]): Kind("a pickle of Python, which could run code") for version in range(2, 6)},
}
_ZIP, _FIRST_NAME = b"PK\x03\x04", slice(30, 200)  # a zip's first file, and where its name begins
_PAGES = (b"<!doctype html", b"<html")


def kind_of(content: bytes) -> Kind | None:
    """What bytes that begin so are, None where they may be text."""
    if content.startswith(_ZIP):
        return Kind(ARRAYS if b".npy" in content[_FIRST_NAME] else "a zip archive")
    if content[:BEGINNING].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return _PAGE
    return next((kind for begin, kind in _KINDS.items() if content.startswith(begin)), None)


def words_of(path: Path | str) -> str:
    """What a file is in words that follow "is": as `kind_of`, JSON, TEXT, or "" for what cannot be told."""
    content = _beginning(path)
    if kind := kind_of(content):
        return kind.words
    if not content.strip() or b"\0" in content or b"\xff" in content:
        return ""
    return JSON if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{") else TEXT


def _beginning(path: Path | str) -> bytes:
    try:
        with opened(path) as handle:
            return handle.read(BEGINNING)
    except (OSError, ValueError):
        return b""
