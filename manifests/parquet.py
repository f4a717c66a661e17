"""Reading Parquet, the one way of this project: without any thread of the library.

`pyarrow.parquet.read_table` goes through its data sets, which start a thread even when told not to, and a command that
ends right after it aborts in that thread's end now and then (exit 134). `ParquetFile` starts none.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from manifests.given_files import opened

if TYPE_CHECKING:
    import pyarrow as pa


def read_table(source: Path | BinaryIO, schema: "pa.Schema | None" = None) -> "pa.Table":
    """A whole table; with `schema` its columns in that form and order, those that the file lacks as nulls.

    Raises OSError and pyarrow's ArrowInvalid.
    """
    import pyarrow.parquet as pq

    content = opened(source) if isinstance(source, Path) else nullcontext(source)
    with content as handle, pq.ParquetFile(handle, pre_buffer=False) as file:
        table = file.read(use_threads=False)
    return table if schema is None else _in_form(table, schema)


def read_row_group(source: Path | BinaryIO, number: int) -> "pa.Table":
    """One row group of a table. Raises as `read_table`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source, pre_buffer=False) as file:
        return file.read_row_group(number, use_threads=False)


def row_groups(source: Path | BinaryIO) -> Iterator["pa.Table"]:
    """The row groups of a table, one after another. Raises as `read_table`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source, pre_buffer=False) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, use_threads=False)


def _in_form(table: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    names = set(table.column_names)
    columns = [table[each.name] if each.name in names else pa.nulls(len(table), each.type) for each in schema]
    try:
        return pa.table(columns, names=schema.names).cast(schema)
    except pa.ArrowNotImplementedError as error:
        raise pa.ArrowInvalid(str(error)) from error
