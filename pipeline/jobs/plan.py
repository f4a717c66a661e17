"""The plan of an ingest: which clip becomes which record of which shard, fixed on disk before anything is decoded.

Made from a listing and the label lists; workers read nothing but their own shard's rows of it, so a task is a number
and not a graph. It also is a shard folder's memory: the same command continues it, another is told the difference.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.files.given import understood
from manifests.files.parquet import read_row_group, row_groups
from pipeline.jobs.options import IngestOptions, automatic_shard_clips
from pipeline.jobs.unique_keys import place_of, unique_keys
from pipeline.sources.listing import Clip, Refusal
from pipeline.storage.files import open_whole, read_json_object, read_table, replacing, write_whole
from pipeline.storage.remote import Place, place

HEAD = "options.json"  # written last: it marks a plan whole
BEGIN_AGAIN = "Give a new folder to --out, or delete this one and begin again."

PLAN_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("source_id", pa.string()),
        ("start_known", pa.bool_()),
        ("naming", pa.string()),
        ("root", pa.int32()),
        ("path", pa.binary()),  # file names are bytes
        ("size", pa.int64()),
        ("member", pa.binary()),
        ("position", pa.int64()),
        ("offset", pa.int64()),
        ("label", pa.string()),
        ("split", pa.string()),
        ("sound", pa.binary()),
        ("moment", pa.float64()),
    ]
)
NAMES = ("path", "member", "sound")
COLUMN_OF = {"audio": "sound"}  # where a column is not called as the field of a Clip
REFUSAL_SCHEMA = pa.schema([("path", pa.string()), ("reason", pa.string()), ("message", pa.string())])


@dataclass(frozen=True)
class Found:
    """What a command meets before anything is planned: its options, the absolute source folders, all labelled clips
    (several may share a key still), the inputs that are refused."""

    options: IngestOptions
    roots: tuple[Place, ...]
    clips: tuple[Clip, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class Plan:
    """`shards[i]` holds shard i's clips in record order; `tasks` are (first, last + 1) shard ranges done in one go;
    `refusals` the inputs that are rejected undecoded; `roots` the absolute source folders."""

    options: IngestOptions
    roots: tuple[Place, ...]
    shards: tuple[tuple[Clip, ...], ...]
    refusals: tuple[Refusal, ...]

    @property
    def clips(self) -> int:
        """Clips to decode."""
        return sum(map(len, self.shards))

    @property
    def inputs(self) -> int:
        """Inputs that must end as a record or as a reject."""
        return self.clips - len(self.tried_again) + len(self.refusals)

    @cached_property
    def tried_again(self) -> frozenset[tuple[int, str]]:
        """Shard and key of the clips that were rejected there and are in a later shard once more: what became of them
        there is what counts."""
        last = {place_of(clip): shard for shard, clips in enumerate(self.shards) for clip in clips}
        planned = ((shard, clip) for shard, clips in enumerate(self.shards) for clip in clips)
        return frozenset((shard, clip.key) for shard, clip in planned if last[place_of(clip)] != shard)

    @property
    def tasks(self) -> list[range]:
        """Shards of one compressed archive are one task, read in one pass; every other shard is its own."""
        tasks = (list(shards) for _, shards in groupby(range(len(self.shards)), self._source_of))
        return [range(shards[0], shards[-1] + 1) for shards in tasks]

    def _source_of(self, shard: int) -> object:
        """What a shard is read from: its compressed archive, or else files of its own."""
        clip = self.shards[shard][0]
        return (clip.root, clip.stream) if clip.stream else shard


def first_plan(found: Found) -> Plan:
    """Duplicates settled, shards cut: the same listing and labels give the same plan."""
    clips, duplicates = unique_keys(found.clips)
    size = found.options.shard_clips or automatic_shard_clips(len(clips))
    options = replace(found.options, shard_clips=size)
    return Plan(options, found.roots, cut_shards(clips, size), (*found.refusals, *duplicates))


def cut_shards(clips: Iterable[Clip], shard_clips: int) -> tuple[tuple[Clip, ...], ...]:
    """Clips read at random, sorted by key; then each compressed archive's, in archive order and shards of their own."""
    streams: dict[tuple[int, str], list[Clip]] = defaultdict(list)
    for clip in clips:
        streams[(clip.root, clip.stream) if clip.stream else (-1, "")].append(clip)
    shards: list[tuple[Clip, ...]] = []
    for stream in sorted(streams):
        ordered = sorted(streams[stream], key=lambda clip: (clip.position, clip.key) if clip.stream else (0, clip.key))
        shards += [tuple(ordered[start : start + shard_clips]) for start in range(0, len(ordered), shard_clips)]
    return tuple(shards)


# --- on disk ---------------------------------------------------------------------------------------------------------


def save(plan: Plan, folder: Place) -> None:
    """Write the plan, its head last."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "clips.parquet") as handle, pq.ParquetWriter(handle, PLAN_SCHEMA) as writer:
        for clips in plan.shards:  # one row group per shard: a worker reads its own and no other
            writer.write_table(pa.Table.from_pylist([_row(clip) for clip in clips], PLAN_SCHEMA))
    with replacing(folder / "refusals.parquet") as handle:
        pq.write_table(pa.Table.from_pylist([asdict(refusal) for refusal in plan.refusals], REFUSAL_SCHEMA), handle)
    save_head(plan, folder)


def save_head(plan: Plan, folder: Place) -> None:
    """Write options and source folders (which may have moved since the clips were listed)."""
    roots = [os.fsencode(root).hex() for root in plan.roots]
    head = {"options": plan.options.stored(), "roots": roots}
    write_whole(folder / HEAD, json.dumps(head, indent=1).encode())


def _row(clip: Clip) -> dict[str, Any]:
    row = {COLUMN_OF.get(field.name, field.name): getattr(clip, field.name) for field in fields(Clip)}
    return row | {name: None if row[name] is None else os.fsencode(row[name]) for name in NAMES}


def _clip(row: dict[str, Any]) -> Clip:
    names: dict[str, Any] = {name: None if row[name] is None else os.fsdecode(row[name]) for name in NAMES}
    row = row | names
    return Clip(**{field.name: row[COLUMN_OF.get(field.name, field.name)] for field in fields(Clip)})


def is_planned(folder: Place) -> bool:
    """Whether a whole plan is saved in a folder."""
    return (folder / HEAD).exists()


def load_head(folder: Place) -> tuple[IngestOptions, tuple[Place, ...]]:
    """Options and source folders of a saved plan."""
    with understood(folder / HEAD, "is damaged", BEGIN_AGAIN):
        head = read_json_object(folder / HEAD)
        roots = tuple(place(os.fsdecode(bytes.fromhex(root))) for root in head["roots"])
        return IngestOptions.from_stored(head["options"]), roots


def load_plan(folder: Place) -> Plan:
    """All of a saved plan."""
    options, roots = load_head(folder)
    with understood(folder, "holds a damaged plan", BEGIN_AGAIN):
        with open_whole(folder / "clips.parquet") as handle:
            shards = tuple(tuple(map(_clip, group.to_pylist())) for group in row_groups(handle))
        refusals = tuple(Refusal(**row) for row in read_table(folder / "refusals.parquet").to_pylist())
    return Plan(options, roots, shards, refusals)


def load_shard(folder: Place, shard: int) -> list[Clip]:
    """One shard's clips of a saved plan. InputError when it is damaged."""
    with understood(folder, "holds a damaged plan", BEGIN_AGAIN), open_whole(folder / "clips.parquet") as handle:
        return [_clip(row) for row in read_row_group(handle, shard).to_pylist()]
