"""Clips as Megatron-Energon wants them: tars by split, an index beside each, and the folder `.nv-meta`.

What `energon prepare` (7.4) would make of the tars: `NAME.tar.idx`, the places of samples as 64-bit numbers;
`.nv-meta/.info.json`, samples by tar; `split.yaml`, tars by split; `index.sqlite` and `index.uuid`, every sample and
part by its place; `dataset.yaml`, which gives samples as plain dicts (`CrudeWebdataset`), to be cooked by a task.
"""

import json
import sqlite3
import tarfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from manifests.files.whole import whole_path, write_bytes, write_text
from pipeline.exchange.plan import Part
from pipeline.shards.companion import CONTEXT, WAVEFORM, WAVEFORM_FACTS
from pipeline.shards.record import MEMBERS
from pipeline.shards.store import ShardStore
from pipeline.shards.writer import writing_shard

NAMED, META, ENERGON = "{}.tar", ".nv-meta", "7.4.1"
DATASET = {"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}
USUAL = ("train", "val", "test")
TABLES = (
    "CREATE TABLE samples (tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE, "
    "sample_index INTEGER NOT NULL, byte_offset INTEGER, byte_size INTEGER)",
    "CREATE TABLE sample_parts (tar_file_id INTEGER, sample_index INTEGER, part_name TEXT, "
    "content_byte_offset INTEGER, content_byte_size INTEGER)",
    "CREATE INDEX idx_samples_sample_key ON samples(sample_key)",
    "CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index)",
    "CREATE INDEX idx_sample_parts_seq ON sample_parts(tar_file_id, sample_index, content_byte_offset)",
    "CREATE INDEX idx_sample_parts_full ON sample_parts(tar_file_id, sample_index, part_name, content_byte_offset, "
    "content_byte_size)",
)


@dataclass(frozen=True)
class Sample:
    """Where a sample lies in its tar, in bytes, and its parts: name, offset and size of the content."""

    key: str
    offset: int
    parts: list[tuple[str, int, int]]


def write_part(store: ShardStore, part: Part, path: Path, advance: Callable[[int], None]) -> None:
    """Write one tar of clips, with their waveforms where the shards have them. InputError as the shards raise it."""
    sounds = store.companions.has(CONTEXT)
    with writing_shard(path) as shard:
        for row in part.rows:
            members = {member: store.read(row, member) for member in MEMBERS}
            shard.add(store.keys[row], members | (_waveform(store, row) if sounds else {}))
            advance(1)


def _waveform(store: ShardStore, row: int) -> dict[str, bytes]:
    found = store.companions.recording(row)
    facts = {"rate": found.rate, "start": found.start}
    return {WAVEFORM: found.content, WAVEFORM_FACTS: json.dumps(facts).encode()}


def write_index(folder: Path, parts: Sequence[Part]) -> None:
    """Write what lies beside the tars of a folder."""
    found = {part.name: _samples(folder / part.name) for part in parts}
    for name, (samples, end) in found.items():
        places = np.array([*(sample.offset for sample in samples), end], "<u8")
        write_bytes(folder / f"{name}.idx", places.tobytes())
    meta = folder / META
    meta.mkdir(exist_ok=True)
    counts = {name: len(samples) for name, (samples, _) in found.items()}
    write_text(meta / ".info.json", json.dumps({"energon_version": ENERGON, "shard_counts": counts}, indent=2))
    write_text(meta / "split.yaml", yaml.safe_dump(_splits(parts), sort_keys=False))
    write_text(meta / "dataset.yaml", yaml.safe_dump(DATASET, sort_keys=False))
    write_text(meta / "index.uuid", str(uuid.uuid5(uuid.NAMESPACE_URL, repr(found))))
    with whole_path(meta / "index.sqlite") as hidden, closing(sqlite3.connect(hidden)) as database:
        _fill(database, list(found.values()))


def _samples(path: Path) -> tuple[list[Sample], int]:
    """The samples of a tar in their order, and where its last one ends."""
    found: list[Sample] = []
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, name = member.name.partition(".")
            if not found or found[-1].key != key:
                found.append(Sample(key, member.offset, []))
            found[-1].parts.append((name, member.offset_data, member.size))
        return found, tar.offset


def _splits(parts: Sequence[Part]) -> dict[str, object]:
    """Tars by split; energon's own three are always there."""
    named: dict[str, list[str]] = {split: [] for split in USUAL}
    for part in parts:
        named.setdefault(part.split, []).append(part.name)
    return {"split_parts": named, "exclude": []}


def _fill(database: sqlite3.Connection, tars: Sequence[tuple[list[Sample], int]]) -> None:
    for table in TABLES:
        database.execute(table)
    for tar, (samples, end) in enumerate(tars):
        database.executemany("INSERT INTO samples VALUES (?, ?, ?, ?, ?)", _sample_rows(tar, samples, end))
        database.executemany(
            "INSERT INTO sample_parts VALUES (?, ?, ?, ?, ?)",
            [(tar, number, *part) for number, sample in enumerate(samples) for part in sample.parts],
        )
    database.commit()


def _sample_rows(tar: int, samples: Sequence[Sample], end: int) -> Iterator[tuple[int, str, int, int, int]]:
    ends = [*(sample.offset for sample in samples[1:]), end]
    for number, (sample, after) in enumerate(zip(samples, ends, strict=True)):
        yield tar, sample.key, number, sample.offset, after - sample.offset
