"""A finished shard folder for benchmarks, from members that are encoded already: no video, no decoder."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.jobs.shard_job import manifest_row
from pipeline.media.front_ends import DEFAULT
from pipeline.shards.record import FACTS, FRAME, MANIFEST_SCHEMA, SCHEMA_VERSION, SPECTROGRAM
from pipeline.shards.store import INDEX, MANIFEST
from pipeline.shards.writer import shard_name, writing_shard

SHORT_SIDE = 256


def write_shard(
    folder: Path,
    number: int,
    clips: Iterable[tuple[str, int, int, bytes, bytes]],
    labels: Mapping[str, str] | None = None,
) -> list[dict[str, object]]:
    """One tar of (key, width, height, JPEG, spectrogram as npy), all of split train; its rows of the manifest."""
    rows, labels = [], labels or {}
    with writing_shard(folder / shard_name(number)) as shard:
        for key, width, height, frame, spectrogram in clips:
            facts: dict[str, object] = {
                "key": key, "source_id": key[:-7], "label": labels.get(key), "split": "train",
                "duration": 10.0, "moment": 5.0, "width": width, "height": height,
                "flags": [], "source_path": f"{key}.mp4", "source_sha256": "0" * 64,
            }  # fmt: skip
            members = {FRAME: frame, FACTS: json.dumps(facts).encode(), SPECTROGRAM: spectrogram}
            rows.append(manifest_row(shard_name(number), facts, shard.add(key, members)))
    return rows


def finish(folder: Path, rows: list[dict[str, object]]) -> None:
    """Manifest and index of a folder whose tars are written."""
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST_SCHEMA), folder / MANIFEST)
    index = {"schema_version": SCHEMA_VERSION, "front_end": DEFAULT, "short_side": SHORT_SIDE,
             "manifest_sha256": hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()}  # fmt: skip
    (folder / INDEX).write_text(json.dumps(index))
