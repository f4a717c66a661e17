"""The plan of an ingest: which clip becomes which record of which shard, fixed on disk before anything is decoded.

Made from a listing and the label lists; workers read nothing but their own shard's rows of it, so a task is a number
and not a graph. It also is a shard folder's memory: the same command continues it, another is told the difference.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields
from itertools import chain, groupby

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.errors import InputError
from manifests.parquet import read_row_group
from pipeline.jobs.options import IngestOptions
from pipeline.sources.listing import Clip, Refusal
from pipeline.storage.files import read_table, replacing, write_whole
from pipeline.storage.remote import Place, place

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
        return self.clips + len(self.refusals)

    @property
    def tasks(self) -> list[range]:
        """Shards of one compressed archive are one task, read in one pass; every other shard is its own."""
        tasks = (list(shards) for _, shards in groupby(range(len(self.shards)), self._source_of))
        return [range(shards[0], shards[-1] + 1) for shards in tasks]

    def _source_of(self, shard: int) -> object:
        """What a shard is read from: its compressed archive, or else files of its own."""
        clip = self.shards[shard][0]
        return (clip.root, clip.stream) if clip.stream else shard


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
    """Write the plan; `options.json` last, it marks the plan whole."""
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
    write_whole(folder / "options.json", json.dumps(head, indent=1).encode())


def _row(clip: Clip) -> dict[str, object]:
    row = {COLUMN_OF.get(field.name, field.name): getattr(clip, field.name) for field in fields(Clip)}
    return row | {name: None if row[name] is None else os.fsencode(row[name]) for name in NAMES}


def _clip(row: dict[str, object]) -> Clip:
    row = row | {name: None if row[name] is None else os.fsdecode(row[name]) for name in NAMES}
    return Clip(**{field.name: row[COLUMN_OF.get(field.name, field.name)] for field in fields(Clip)})


def load_head(folder: Place) -> tuple[IngestOptions, tuple[Place, ...]]:
    """Options and source folders of a saved plan."""
    head = json.loads((folder / "options.json").read_bytes())
    roots = (place(os.fsdecode(bytes.fromhex(root))) for root in head["roots"])
    return IngestOptions.from_stored(head["options"]), tuple(roots)


def load_shard(folder: Place, shard: int) -> list[Clip]:
    """One shard's clips of a saved plan."""
    with (folder / "clips.parquet").open("rb") as handle:
        return [_clip(row) for row in read_row_group(handle, shard).to_pylist()]


def check_same(plan: Plan, folder: Place, out: Place) -> None:
    """InputError that names the differences when the plan saved in `folder` is not `plan`."""
    options, _ = load_head(folder)
    differences = _option_differences(options, plan.options)
    if not differences:
        differences = _clip_differences(folder, plan)
    if differences:
        raise InputError(
            f"{out} was begun with other input: {'; '.join(differences)}. Repeat the first command to continue it, or "
            "give a new folder to --out."
        )


def _option_differences(before: IngestOptions, now: IngestOptions) -> list[str]:
    was, wanted = before.stored(), now.stored()
    return [f"{name} was {was[name]}, now {wanted[name]}" for name in was if was[name] != wanted[name]]


def _clip_differences(folder: Place, plan: Plan) -> list[str]:
    rows_before, rows_now = read_table(folder / "clips.parquet").to_pylist(), [*map(_row, chain(*plan.shards))]
    before, now = Counter(map(_identity, rows_before)), Counter(map(_identity, rows_now))
    gone, new = before - now, now - before
    changed = {path for path, *_ in gone} & {path for path, *_ in new}
    parts = [
        _counted("new clips", [path for path, *_ in new if path not in changed]),
        _counted("missing clips", [path for path, *_ in gone if path not in changed]),
        _counted("clips with another size, key, label or split", list(changed)),
    ]
    refused = {tuple(row.values()) for row in read_table(folder / "refusals.parquet").to_pylist()}
    refused ^= {astuple(refusal) for refusal in plan.refusals}
    parts.append(_counted("refused inputs that differ", [path for path, *_ in refused]))
    found = [part for part in parts if part]
    if not found and list(map(_place, rows_before)) != list(map(_place, rows_now)):
        found.append("the clips lie in other places of the same archives")
    return found


def _identity(row: dict[str, object]) -> tuple[str, ...]:
    """What must agree for a clip to be the same one; its path (with the member's or the sound's) comes first."""
    path = b"!".join(part for part in map(row.get, NAMES) if part)
    rest = (str(row[name]) for name in ("root", "size", "key", "label", "split"))
    return path.decode("utf-8", "backslashreplace"), *rest


def _place(row: dict[str, object]) -> tuple[object, ...]:
    return row["key"], row["position"], row["offset"]


def _counted(what: str, paths: list[str]) -> str:
    return f"{what}: {len(paths)} (such as {min(paths)})" if paths else ""
