"""The project's own annotation table: a parquet file with key, label, boxes and consensus, for users' corpora.

`boxes` are lists x1, y1, x2, y2 as fractions of the frame, none or null where a clip has no box; a missing or null
consensus is 1. Clips that another reader understood can be written in this form and read back unchanged; frames not
always: a key with folders in it, as of AVSBench-semantic or MUSIC, is read as a file's name like any other, and masks
and classes of pixels are no part of a table.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manifests.annotations import Annotation, TestSet, make_test_set, read_box, read_label, read_name
from manifests.errors import InputError
from manifests.files import parquet
from manifests.files.content import read_content
from manifests.files.given import understood
from manifests.files.recognised import PARQUET, words_of
from manifests.files.whole import whole_file
from manifests.splits import IdList
from manifests.test_sets import Format, Truth

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
    content = read_content(path)
    told = f"It is {words_of(path)}. " if words_of(path) not in ("", PARQUET) else ""
    with understood(path, "is not a parquet file", f"{told}Write it with key, label and boxes."):
        table = parquet.read_table(io.BytesIO(content.content))
    absent = {"key", "label", "boxes"} - set(table.column_names)
    if absent:
        raise InputError(f"{path} lacks the columns {', '.join(sorted(absent))}. An annotation table has them all.")
    annotations = [_annotation(row, f"{path}, row {number},") for number, row in enumerate(table.to_pylist())]
    _check_consensus(annotations, path)
    return make_test_set(name or Path(path).stem, annotations, content)


def _check_consensus(annotations: Sequence[Annotation], path: Path | str) -> None:
    """InputError for a clip whose consensus no clip of the file has boxes for: it is no number of annotators, and no
    pixel of the clip would count fully. Fewer boxes than others are another thing: some annotators saw nothing."""
    most = max((len(each.boxes) for each in annotations), default=0)
    for number, each in enumerate(annotations):
        if each.boxes and each.consensus > most:
            raise InputError(
                f"{path}, row {number}, {each.key}, has the consensus {each.consensus} and {len(each.boxes)} boxes, "
                f"and no clip of the file more than {most}: no pixel of it would count fully. A consensus is how many "
                "boxes must cover a pixel: 1 where one is enough, 2 where two annotators must agree, each with boxes "
                "of their own."
            )


def _annotation(row: dict[str, Any], where: str) -> Annotation:
    boxes = [] if row["boxes"] is None else row["boxes"]
    consensus = 1 if row.get("consensus") is None else row["consensus"]
    if not isinstance(boxes, list) or type(consensus) is not int or consensus < 1:
        raise InputError(f"{where} has the boxes {boxes!r} and the consensus {consensus!r}. Correct it.")
    key, label = read_name(row["key"], f"{where} the key"), read_label(row["label"], where)
    return Annotation.named(key, label, tuple(read_box(box, f"{where} {key},") for box in boxes), consensus)


def _truth(path: Path, _wanted: IdList | None) -> Truth:
    return Truth("parquet", read_table(path))


FORMATS = {"parquet": Format("a table of one's own: key, label, boxes, consensus", _truth)}
