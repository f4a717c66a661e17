"""Writing files so that a reader sees either nothing or the whole file: a hidden temporary name, fsync, rename.

On object storage an object is that by nature: it is written locally and sent when it is whole.
"""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from pipeline.storage.remote import Place, RemotePath

if TYPE_CHECKING:
    import pyarrow as pa

TEMPORARY_SUFFIX = ".tmp"


@contextmanager
def replacing(path: Place) -> Iterator[BinaryIO]:
    """A binary handle whose content appears under `path` when the block ends, and never when it raises."""
    if isinstance(path, RemotePath):
        with tempfile.NamedTemporaryFile(prefix="upload-") as local:
            yield cast(BinaryIO, local)
            local.flush()
            path.upload(local.name)
        return
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}")
    try:
        with open(temporary, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Place, content: bytes) -> None:
    """Write a small file in one piece."""
    with replacing(path) as handle:
        handle.write(content)


def read_table(path: Place, schema: "pa.Schema | None" = None) -> "pa.Table":
    """A parquet file, here or on object storage."""
    import pyarrow.parquet as pq

    with path.open("rb") as handle:
        # no reader threads: a command that ends right after reading would abort in arrow's shutdown now and then
        return pq.read_table(handle, schema=schema, use_threads=False, pre_buffer=False)


def remove_leftovers(folder: Place) -> None:
    """Delete what killed writers left behind in `folder`; in object storage they leave nothing."""
    if isinstance(folder, RemotePath):
        return
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        path.unlink(missing_ok=True)
