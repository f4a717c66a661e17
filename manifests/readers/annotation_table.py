"""The project's own annotation table: a parquet file with key, label, boxes and consensus, for users' corpora.

`boxes` are lists x1, y1, x2, y2 as fractions of the frame. Whatever another reader understood can be written in this
form and read back unchanged.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from manifests import parquet
from manifests.annotations import Annotation, TestSet, make_test_set, read_box
from manifests.content import read_content
from manifests.errors import InputError
from manifests.keys import clip_key
from manifests.splits import IdList
from manifests.test_sets import Format, Truth
from manifests.whole_files import whole_file

if TYPE_CHECKING:
    import pyarrow as pa


def schema() -> "pa.Schema":
    """Columns of the annotation table."""
    import pyarrow as pa

    boxes = pa.list_(pa.list_(pa.float64()))
    return pa.schema([("key", pa.string()), ("label", pa.string()), ("boxes", boxes), ("consensus", pa.int32())])


def write_table(test_set: TestSet, path: Path | str) -> None:
    """Write a test set as one parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"key": each.key, "label": each.label, "boxes": [list(box) for box in each.boxes], "consensus": each.consensus}
        for each in test_set.annotations
    ]
    with whole_file(Path(path)) as handle:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema()), handle)


def read_table(path: Path | str, name: str | None = None) -> TestSet:
    """Read an annotation table; `name` defaults to the file's stem, a missing consensus column means 1."""
    import pyarrow as pa

    content = read_content(path)
    try:
        table = parquet.read_table(io.BytesIO(content.content))
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not a parquet file ({error}). Write it with key, label and boxes.") from error
    absent = {"key", "label", "boxes"} - set(table.column_names)
    if absent:
        raise InputError(f"{path} lacks the columns {', '.join(sorted(absent))}. An annotation table has them all.")
    annotations = (
        Annotation(
            clip_key(row["key"]),
            row["label"],
            tuple(read_box(box, f"{path}, {row['key']},") for box in row["boxes"] or []),
            row.get("consensus") or 1,
        )
        for row in table.to_pylist()
    )
    return make_test_set(name or Path(path).stem, annotations, content)


def _truth(path: Path, _wanted: IdList | None) -> Truth:
    return Truth("parquet", read_table(path))


FORMATS = {"parquet": Format("a table of one's own: key, label, boxes, consensus", _truth)}
