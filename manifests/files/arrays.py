"""Arrays from `.npy` and `.npz` files of others: no Python objects, and never more memory than a stated bound.

A header can claim any shape, and a compressed archive unpack to a thousand times its size, so both are measured first.
"""

import io
import math
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from manifests.files.given import MOST_UNPACKED_RATIO, TooLarge, in_words, opened

if TYPE_CHECKING:
    import numpy as np

# Bytes that the arrays of an archive may unpack to: maps of 5,158 clips at 224 x 224 take as many; what is stored
# without compression may be as large as it is.
MOST_UNPACKED = 1 << 30
LONGEST_NAME = 100  # characters of an array's name in a message
LONGEST_HEADER = 10_000  # characters, numpy's own bound


def read_npz(path: Path) -> "dict[str, np.ndarray]":
    """Every array of an archive by name. Raises OSError, ValueError and what zipfile raises for broken archives."""
    with opened(path) as handle, zipfile.ZipFile(handle) as archive:
        members = archive.infolist()
        names = [member.filename.removesuffix(".npy") for member in members]
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            raise ValueError(f"it holds {twice[0][:LONGEST_NAME]!r} twice")
        handle.seek(0, io.SEEK_END)
        most = MOST_UNPACKED + MOST_UNPACKED_RATIO * handle.tell()
        if sum(member.file_size for member in members) > most:
            raise TooLarge(f"it unpacks to more than {in_words(most)}; store larger ones uncompressed")
        return {name: _member(archive, member) for name, member in zip(names, members, strict=True)}


def array_of(content: bytes) -> "np.ndarray":
    """The array of a `.npy` file's bytes. Raises ValueError."""
    return _array(io.BytesIO(content), len(content))


def check_npy(path: Path) -> None:
    """What must hold before an array is mapped into memory: a regular file as long as its header claims.

    Raises OSError and ValueError.
    """
    with opened(path) as handle:
        size = handle.seek(0, io.SEEK_END)
        handle.seek(0)
        _check_header(handle, size)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> "np.ndarray":
    with archive.open(member) as handle:
        content = handle.read(member.file_size + 1)
    return array_of(content)


def _array(handle: BinaryIO, size: int) -> "np.ndarray":
    import numpy as np

    _check_header(handle, size)
    handle.seek(0)
    return np.lib.format.read_array(handle, allow_pickle=False, max_header_size=LONGEST_HEADER)


def _check_header(handle: BinaryIO, size: int) -> None:
    """ValueError for a header that is none, holds objects, or claims more than the `size` bytes that are there."""
    import numpy as np

    version = np.lib.format.read_magic(handle)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(handle, max_header_size=LONGEST_HEADER)
    if dtype.hasobject:
        raise ValueError("it holds Python objects instead of numbers or text")
    if math.prod(shape) * dtype.itemsize > size - handle.tell():
        raise ValueError(f"its header claims an array of shape {shape}, more than is there")
