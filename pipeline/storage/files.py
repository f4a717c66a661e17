"""Whole files here or on object storage, where an object is whole by nature: it is written here and sent at the end."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from manifests import parquet, whole_files
from pipeline.storage.remote import Place, RemotePath

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def replacing(path: Place) -> Iterator[BinaryIO]:
    """A binary handle whose content appears under `path` when the block ends, and never when it raises."""
    if isinstance(path, RemotePath):
        with tempfile.NamedTemporaryFile(prefix="upload-") as local:
            yield cast(BinaryIO, local)
            local.flush()
            path.upload(local.name)
        return
    with whole_files.whole_file(path) as handle:
        yield handle


def write_whole(path: Place, content: bytes) -> None:
    """Write a small file in one piece."""
    with replacing(path) as handle:
        handle.write(content)


def read_table(path: Place, schema: "pa.Schema | None" = None) -> "pa.Table":
    """A parquet file, here or on object storage."""
    with path.open("rb") as handle:
        return parquet.read_table(handle, schema)


def remove_leftovers(folder: Place) -> None:
    """Delete what killed writers left behind in `folder`; in object storage they leave nothing."""
    if not isinstance(folder, RemotePath):
        whole_files.remove_leftovers(folder)
