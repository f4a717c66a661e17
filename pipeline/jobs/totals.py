"""After the shards: every input accounted for, in tables and in a sum, and the folder marked finished.

The rows of all shards become `manifest.parquet`, the rejects of their markers `rejects.parquet`; records and rejects
must add up to the inputs before `index.json` is written.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.commands.counting import counted
from manifests.errors import WorkFailed
from manifests.files.plain_data import object_with
from pipeline.console import summary
from pipeline.jobs.plan import Plan
from pipeline.jobs.shard_job import ShardSummary, marker_of, read_marker, reject_row, rows_of, stored_keys
from pipeline.shards.companion import COMPANION_SCHEMA, companion_manifest
from pipeline.shards.record import MANIFEST_SCHEMA, REASONS, REJECT_SCHEMA, SCHEMA_VERSION
from pipeline.shards.store import INDEX, MANIFEST, REJECTS
from pipeline.storage.files import read_whole, replacing, write_whole
from pipeline.storage.remote import Place


def write_tables(out: Place, plan: Plan) -> None:
    """Join the shards' rows to manifest and rejects. WorkFailed when an input is in neither."""
    shards = range(len(plan.shards))
    _write_table(out / MANIFEST, MANIFEST_SCHEMA, (rows_of(out, shard) for shard in shards))
    for kind in plan.options.companions.kinds:
        tables = (rows_of(out, shard, kind) for shard in shards)
        _write_table(out / companion_manifest(kind), COMPANION_SCHEMA, tables)
    _write_table(out / REJECTS, REJECT_SCHEMA, _reject_tables(out, plan))
    records, rejects = (_rows(out / name) for name in (MANIFEST, REJECTS))
    if records + rejects != plan.inputs:
        raise WorkFailed(
            f"{out} accounts for {counted(records, 'record')} and {counted(rejects, 'reject')} of {plan.inputs} inputs "
            "found. This is a defect of ingest, not of your files; please report it, and ingest into a new folder."
        )


def _rows(path: Place) -> int:
    with path.open("rb") as handle:
        return cast(int, pq.read_metadata(handle).num_rows)


def _reject_tables(out: Place, plan: Plan) -> Iterator[pa.Table]:
    refused = [reject_row(refusal.path, "list", refusal.reason, refusal.message) for refusal in plan.refusals]
    yield pa.Table.from_pylist(sorted(refused, key=lambda row: (row["path"], row["message"])), REJECT_SCHEMA)
    for shard in range(len(plan.shards)):
        yield pa.Table.from_pylist([row for row, counts in _rejects(out, plan, shard) if counts], REJECT_SCHEMA)


def _rejects(out: Place, plan: Plan, shard: int) -> Iterator[tuple[dict[str, str], bool]]:
    """A finished shard's rejects, and whether they count: not those of clips that a later shard has once more."""
    rows = marker_of(out, shard)["rejects"]
    again = {key for number, key in plan.tried_again if number == shard}
    if not again:
        return ((row, True) for row in rows)
    stored = stored_keys(out, shard) or frozenset()
    rejected = [clip.key for clip in plan.shards[shard] if clip.key not in stored]
    return ((row, key not in again) for row, key in zip(rows, rejected, strict=True))


def _write_table(path: Place, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Table by table: a corpus of any size takes the memory of one shard's rows."""
    with replacing(path) as handle, pq.ParquetWriter(handle, schema) as writer:
        for table in tables:
            writer.write_table(table)


def total(out: Place, plan: Plan) -> ShardSummary:
    """The counts of a folder whose shards are all finished, refused inputs included."""
    counts = ShardSummary(clips=len(plan.refusals), reasons=Counter(refusal.reason for refusal in plan.refusals))
    for shard in range(len(plan.shards)):
        counts += read_marker(out, shard)
    for shard in {shard for shard, _ in plan.tried_again}:
        dropped = [row["reason"] for row, counted in _rejects(out, plan, shard) if not counted]
        counts.clips -= len(dropped)
        counts.reasons -= Counter(dropped)
    return counts


def accept(out: Place, plan: Plan, counts: ShardSummary, max_reject_fraction: float) -> None:
    """Mark the folder finished; WorkFailed instead when nothing is usable or too much was rejected."""
    rejects = counts.reasons.total()
    where = f"{out / REJECTS} names every file and what was wrong with it"
    if not counts.records:
        raise WorkFailed(f"None of the {counts.clips} inputs became a record; {where}.")
    if rejects > max_reject_fraction * counts.clips:
        raise WorkFailed(
            f"{rejects} of {counts.clips} inputs were rejected, more than --max-reject-fraction "
            f"{max_reject_fraction:g} allows; {where}. Repeat the command with a larger fraction to accept the rest."
        )
    write_whole(out / INDEX, json.dumps(_index(out, plan, counts.records, rejects), indent=1).encode())


def is_finished(out: Place, plan: Plan) -> bool:
    """Whether the folder was marked finished with all shards of the plan."""
    try:
        return bool(object_with(read_whole(out / INDEX), "shards")["shards"] == len(plan.shards))
    except (FileNotFoundError, ValueError):
        return False


def _index(out: Place, plan: Plan, records: int, rejects: int) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "front_end": plan.options.front_end,
        "short_side": plan.options.short_side,
        "clips": records,
        "rejects": rejects,
        "shards": len(plan.shards),
        "companions": list(plan.options.companions.kinds),
        "options_sha256": plan.options.sha256(),
        "manifest_sha256": hashlib.sha256((out / MANIFEST).read_bytes()).hexdigest(),
    }


def report(
    out: Place, plan: Plan, counts: ShardSummary, made: ShardSummary | None = None, seconds: float = 0.0
) -> None:
    """The closing table; the speed is that of what was `made` in so many seconds."""
    facts: dict[str, object] = {
        "inputs": plan.inputs,
        "records": counts.records,
        "shards": f"{len(plan.shards)}, {counts.bytes_written / 1e6:.1f} MB",
        "rejects": counts.reasons.total(),
    }
    facts |= {f"  {reason}": f"{count:<6} {REASONS[reason]}" for reason, count in counts.reasons.most_common()}
    facts |= {f"flag {flag}": count for flag, count in sorted(counts.flags.items())}
    if made is not None and seconds:
        speed = f"{made.clips / seconds:.1f} clips/s, {made.bytes_read / seconds / 1e6:.1f} MB/s read"
        facts["speed"] = f"{speed}, {seconds:.1f} s"
    summary(f"shards in {out}", facts)
