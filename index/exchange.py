"""`index export`: a folder of embeddings or neighbours as one Parquet file, a row per clip, for other programs.

Columns: key, source_id, label, split, and `image` and `audio`: of embeddings a unit vector, of neighbours the rows of
the same file that are nearest, best first. meta.json of the folder goes into the file's metadata.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from index import arrays
from index.embeddings import Embeddings
from index.neighbours import Neighbours
from manifests.errors import InputError
from manifests.files.outputs import check_output
from manifests.files.parquet import read_metadata
from manifests.files.whole import whole_file
from manifests.files.whole_folders import alone_at
from pipeline.console import progress

COMMAND = "index export"
TOLD = b"sound-source-localization"  # the metadata's name of meta.json
REMEDY = "Give one of `index embed` or `index build-knn`."
GROUP = 4096  # clips in a row group


def export(folder: Path, out: Path) -> dict[str, object]:
    """Write the file, unless it is there; facts for a summary.

    InputError when the folder holds neither, or is damaged, and when `out` is there and not of this command.
    """
    kind, vectors, keys = _read(folder)
    check_output(out, {"FOLDER": [folder, *sorted(folder.iterdir())]}, _is_own, COMMAND)
    meta = arrays.read_meta(folder, arrays.MAKERS[arrays.EMBEDDINGS])
    schema = _schema(vectors, meta)
    facts = {"kind": kind, "clips": f"{len(keys):,}", "columns": ", ".join(schema.names)}
    if out.exists() and _told(out) == _told_of(meta):
        return {"already there": out, **facts}
    with (
        alone_at(out),
        progress("export", len(keys), "clips") as advance,
        whole_file(out) as handle,
        pq.ParquetWriter(handle, schema, compression="zstd") as writer,
    ):
        for first in range(0, len(keys), GROUP):
            writer.write_table(own := _rows(vectors, keys, slice(first, first + GROUP), schema))
            advance(len(own))
    return {"written": out, **facts}


def _read(folder: Path) -> tuple[str, Mapping[str, np.ndarray], pa.Table]:
    """What is in the folder, its arrays by modality, and the table of its keys."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}. {REMEDY}")
    meta = arrays.read_meta(folder, arrays.MAKERS[arrays.EMBEDDINGS])
    if arrays.EMBEDDINGS in meta:
        embeddings = Embeddings.open(folder)
        return "embeddings", {"image": embeddings.image, "audio": embeddings.audio}, embeddings.keys
    if arrays.NEIGHBOURS not in meta:
        raise InputError(f"{folder} holds neither embeddings nor neighbours. {REMEDY}")
    found = Neighbours.open(folder, str(meta.get("manifest_sha256")))
    return "neighbours", {"image": found.image, "audio": found.audio}, arrays.read_keys(folder, COMMAND)


def _schema(vectors: Mapping[str, np.ndarray], meta: Mapping[str, object]) -> pa.Schema:
    types = {name: pa.list_(pa.from_numpy_dtype(each.dtype), each.shape[1]) for name, each in vectors.items()}
    columns = [pa.field(name, type) for name, type in types.items()]
    features: dict[str, Any] = {field.name: {"dtype": "string", "_type": "Value"} for field in arrays.KEYS_SCHEMA}
    for name, each in vectors.items():
        value = {"dtype": str(each.dtype), "_type": "Value"}
        features[name] = {"feature": value, "length": each.shape[1], "_type": "Sequence"}
    told = {"huggingface": json.dumps({"info": {"features": features}}), TOLD: _told_of(meta)}
    return pa.schema([*arrays.KEYS_SCHEMA, *columns], metadata=told)


def _rows(vectors: Mapping[str, np.ndarray], keys: pa.Table, part: slice, schema: pa.Schema) -> pa.Table:
    own = keys.slice(part.start, GROUP)
    columns = [own[name].combine_chunks() for name in arrays.KEYS_SCHEMA.names]
    for each in vectors.values():
        some = np.ascontiguousarray(each[part])
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(some.reshape(-1)), some.shape[1]))
    return pa.table(columns, schema=schema)


def _told_of(meta: Mapping[str, object]) -> bytes:
    return json.dumps(meta, sort_keys=True).encode()


def _told(path: Path) -> bytes | None:
    """meta.json as a file's metadata has it; None of a file that this command did not write."""
    try:
        return read_metadata(path).get(TOLD)
    except (OSError, pa.ArrowException):
        return None


def _is_own(path: Path) -> bool:
    return _told(path) is not None
