"""Whole files here or on object storage, where an object is whole by nature: it is written here and sent at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from manifests.files import parquet, whole
from manifests.files.given import opened, read_bytes
from manifests.files.plain_data import parse_json_object
from manifests.files.temporary import temporary_folder
from pipeline.storage.remote import Place, RemotePath

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def replacing(path: Place) -> Iterator[BinaryIO]:
    """A binary handle whose content appears under `path` when the block ends, and never when it raises."""
    if isinstance(path, RemotePath):
        with temporary_folder("upload") as folder:
            with open(hidden := folder / "content", "wb") as handle:
                yield handle
            path.upload(str(hidden))
        return
    with whole.whole_file(path) as handle:
        yield handle


def write_whole(path: Place, content: bytes) -> None:
    """Write a small file in one piece."""
    with replacing(path) as handle:
        handle.write(content)


def read_table(path: Place, schema: "pa.Schema | None" = None) -> "pa.Table":
    """A parquet file, here or on object storage."""
    with open_whole(path) as handle:
        return parquet.read_table(handle, schema)


def open_whole(path: Place) -> BinaryIO:
    """A file for reading, here or on object storage. Raises OSError, as for a pipe in its place."""
    return path.open("rb") if isinstance(path, RemotePath) else opened(path)


def read_json_object(path: Place) -> dict[str, Any]:
    """A JSON object, here or on object storage. Raises OSError and ValueError."""
    return parse_json_object(read_whole(path))


def read_whole(path: Place) -> bytes:
    """All of a file, here or on object storage. Raises OSError and ValueError."""
    return path.read_bytes() if isinstance(path, RemotePath) else read_bytes(path)


def remove_leftovers(folder: Place) -> None:
    """Delete what killed writers left behind in `folder`; in object storage they leave nothing."""
    if not isinstance(folder, RemotePath):
        whole.remove_leftovers(folder)
