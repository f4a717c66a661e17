"""Clips as Parquet: a row per clip, image and audio as the files they are, and what Hugging Face must know of them.

`image` and `audio` are structs of `bytes` and `path`, which `datasets` reads as its features Image and Audio; every
other reader finds a JPEG and a FLAC file in them. Equal shards give equal bytes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.errors import InputError
from manifests.files.whole import whole_file
from pipeline.exchange.plan import Part
from pipeline.shards.codecs import decode_npy
from pipeline.shards.companion import CONTEXT
from pipeline.shards.record import FRAME, SPECTROGRAM
from pipeline.shards.store import ShardStore

NAMED = "data/{}.parquet"  # only there are splits of any name found
GROUP = 100  # clips that are held at once, and make a row group
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FACTS = ("key", "source_id", "label", "split", "duration", "moment", "width", "height", "flags")  # of the manifest
SPECTRUM = pa.list_(pa.list_(pa.float16()))
_PLAIN = {pa.string(): "string", pa.float64(): "float64", pa.int32(): "int32"}


def write_part(store: ShardStore, part: Part, path: Path, advance: Callable[[int], None]) -> None:
    """Write one file, whole or not at all. InputError as the shards raise it, and for waveforms of two rates."""
    schema = _schema(store)
    with whole_file(path) as handle, pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        for first in range(0, len(part.rows), GROUP):
            rows = part.rows[first : first + GROUP]
            writer.write_table(_table(store, list(rows), schema))
            advance(len(rows))


def _schema(store: ShardStore) -> pa.Schema:
    facts = [store.table.schema.field(name) for name in FACTS]
    audio = [pa.field("audio", FILE), pa.field("audio_start", pa.float64())] if store.companions.has(CONTEXT) else []
    fields = [*facts, pa.field("image", FILE), *audio, pa.field("spectrogram", SPECTRUM)]
    features = {field.name: _feature(field) for field in fields}
    if audio:
        features["audio"] = {"sampling_rate": store.companions.recording(0).rate, "_type": "Audio"}
    features["image"] = {"_type": "Image"}
    told = {"huggingface": json.dumps({"info": {"features": features}}), "front_end": store.front_end}
    return pa.schema(fields, metadata=told)


def _feature(field: pa.Field) -> dict[str, Any]:
    """A plain column as `datasets` describes it."""
    if field.type == SPECTRUM:
        return {
            "feature": {"feature": {"dtype": "float16", "_type": "Value"}, "_type": "Sequence"},
            "_type": "Sequence",
        }
    if pa.types.is_list(field.type):
        return {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"}
    return {"dtype": _PLAIN.get(field.type, "string"), "_type": "Value"}


def _table(store: ShardStore, rows: list[int], schema: pa.Schema) -> pa.Table:
    facts = store.table.take(rows)
    columns: dict[str, Any] = {name: facts[name].combine_chunks() for name in FACTS}
    columns["image"] = [{"bytes": store.read(row, FRAME), "path": f"{store.keys[row]}.jpg"} for row in rows]
    if "audio" in schema.names:
        sounds = [_recording(store, row) for row in rows]
        columns["audio"] = [
            {"bytes": content, "path": f"{store.keys[row]}.flac"}
            for row, (content, _) in zip(rows, sounds, strict=True)
        ]
        columns["audio_start"] = [start for _, start in sounds]
    columns["spectrogram"] = _spectrograms([store.decoded(row, SPECTROGRAM, decode_npy) for row in rows])
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _recording(store: ShardStore, row: int) -> tuple[bytes, float]:
    """FLAC and start. InputError where its rate is not that of the first clip, which the file names for all."""
    found, first = store.companions.recording(row), store.companions.recording(0)
    if found.rate != first.rate:
        raise InputError(
            f"The waveform of {store.keys[row]} has {found.rate} Hz, that of {store.keys[0]} {first.rate}. Only shards "
            "of one --audio-rate are exported together; export each folder by itself."
        )
    return found.content, found.start


def _spectrograms(found: list[np.ndarray]) -> pa.Array:
    """float16 (F, T) each, as lists of lists."""
    counts = [array.shape[0] for array in found]
    widths = [array.shape[1] for array in found for _ in range(array.shape[0])]
    values = pa.array(np.concatenate([array.reshape(-1) for array in found]), pa.float16())
    lines = pa.ListArray.from_arrays(pa.array(np.cumsum([0, *widths]), pa.int32()), values)
    return pa.ListArray.from_arrays(pa.array(np.cumsum([0, *counts]), pa.int32()), lines)
