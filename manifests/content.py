"""Reading the bytes of a list or annotation file, plain or gzipped, and naming them by hash.

Every reader of this package starts here, so that a result can say which exact truth or training list it used: the
hash is that of the uncompressed content, equal for `list.txt` and `list.txt.gz`.
"""

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import InputError

HDF5 = b"\x89HDF\r\n\x1a\n"
_CONVERT = (
    "import h5py; rows = open('Annotations.txt').read().splitlines(); "
    "print(*(rows[i] for i in h5py.File('test_order.h5')['order'][:]), sep='\\n')"
)


@dataclass(frozen=True)
class Content:
    """A file's uncompressed bytes, where they came from and their SHA-256."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def text(self) -> str:
        """The content as UTF-8 text, a byte-order mark removed."""
        if self.content.startswith(HDF5):
            raise InputError(
                f"{self.path} is an HDF5 file, which is not read here. AVE's split orders become a list of clips with "
                f'python -c "{_CONVERT}" > ave_test.txt, where h5py is installed; give that file.'
            )
        try:
            return self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path} is not a text file ({error}). Give the list or annotation file.") from error

    def json(self) -> Any:
        """The content as JSON."""
        try:
            return json.loads(self.text())
        except json.JSONDecodeError as error:
            raise InputError(
                f"{self.path} is not valid JSON ({error}). Download the file again or check its format."
            ) from error


def read_content(path: Path | str) -> Content:
    """Read a whole file; `.gz` files are uncompressed. InputError when it cannot be read."""
    path = Path(path)
    try:
        raw = path.read_bytes()
        return Content(path, gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}). Check the path and that the file is complete.") from error
