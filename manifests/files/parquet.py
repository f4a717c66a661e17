"""Reading Parquet, the one way of this project: without any thread of the library.

`pyarrow.parquet.read_table` goes through its data sets, which start a thread even when told not to, and a command that
ends right after it aborts in that thread's end now and then (exit 134). `ParquetFile` starts none.

A few kB can stand for billions of rows, so a table is read in pieces, and no further than it may be large.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from manifests.files.given import MOST_UNPACKED_RATIO, in_words, opened

# Bytes that a table may take in memory: that of a corpus of 200,000 clips takes 120 million
MOST_UNPACKED = 1 << 30
ROWS = 1 << 16  # of a piece

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def read_table(source: Path | BinaryIO, schema: "pa.Schema | None" = None) -> "pa.Table":
    """A whole table; with `schema` its columns in that form and order, those that the file lacks as nulls.

    Raises OSError and pyarrow's ArrowInvalid, as for a table that takes too much memory.
    """
    import pyarrow.parquet as pq

    content = opened(source) if isinstance(source, Path) else nullcontext(source)
    with content as handle, pq.ParquetFile(handle, pre_buffer=False) as file:
        table = _read(file, handle, range(file.num_row_groups))
    return table if schema is None else _in_form(table, schema)


def read_metadata(path: Path) -> dict[bytes, bytes]:
    """What a file's own metadata says, without its rows. Raises as `read_table`."""
    import pyarrow.parquet as pq

    with opened(path) as handle, pq.ParquetFile(handle, pre_buffer=False) as file:
        return file.schema_arrow.metadata or {}


def read_row_group(source: Path | BinaryIO, number: int) -> "pa.Table":
    """One row group of a table. Raises as `read_table`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source, pre_buffer=False) as file:
        return _read(file, source, [number])


def row_groups(source: Path | BinaryIO) -> Iterator["pa.Table"]:
    """The row groups of a table, one after another. Raises as `read_table`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source, pre_buffer=False) as file:
        for number in range(file.num_row_groups):
            yield _read(file, source, [number])


def _read(file: "pq.ParquetFile", source: Path | BinaryIO, numbers: Sequence[int]) -> "pa.Table":
    """The rows of these row groups, in one piece a column."""
    import pyarrow as pa

    most = MOST_UNPACKED + MOST_UNPACKED_RATIO * _size(source)
    if sum(file.metadata.row_group(number).total_byte_size for number in numbers) > most:
        raise _too_large(most)
    pieces, taken = [], 0
    for batch in file.iter_batches(ROWS, numbers, use_threads=False):
        pieces.append(batch)
        if (taken := taken + batch.nbytes) > most:
            raise _too_large(most)
    return pa.Table.from_batches(pieces, file.schema_arrow).combine_chunks()


def _too_large(most: int) -> "pa.ArrowInvalid":
    import pyarrow as pa

    return pa.ArrowInvalid(f"it unpacks to more than {in_words(most)}")


def _size(source: Path | BinaryIO) -> int:
    """Bytes of a file."""
    if isinstance(source, Path):
        return source.stat().st_size
    at = source.tell()
    size = source.seek(0, io.SEEK_END)
    source.seek(at)
    return size


def _in_form(table: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    names = set(table.column_names)
    columns = [table[each.name] if each.name in names else pa.nulls(len(table), each.type) for each in schema]
    try:
        return pa.table(columns, names=schema.names).cast(schema)
    except pa.ArrowNotImplementedError as error:
        raise pa.ArrowInvalid(str(error)) from error
