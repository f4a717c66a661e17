"""`pipeline ingest` as a whole: list, label, plan, have the shards made, account for every input.

The last step joins the shards' markers to `manifest.parquet` and `rejects.parquet`, checks that records and rejects add
up to the inputs, and writes `index.json`: a folder without it is unfinished, and the same command continues it.
"""

import fcntl
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.errors import InputError, WorkFailed
from pipeline.cluster import available_cores, connected, run_all
from pipeline.companion import COMPANION_SCHEMA, NOTHING, Wanted, check_proposals, companion_manifest
from pipeline.console import progress, summary
from pipeline.files import read_table, remove_leftovers, replacing, write_whole
from pipeline.frontend import DEFAULT
from pipeline.journal import end_attempts, forget
from pipeline.labels import Labels, find_labels
from pipeline.plan import (
    IngestOptions,
    Plan,
    automatic_shard_clips,
    check_same,
    cut_shards,
    save,
    save_head,
    unique_keys,
)
from pipeline.record import MANIFEST_SCHEMA, REASONS, REJECT_SCHEMA, SCHEMA_VERSION
from pipeline.remote import Place, RemotePath, StorageLost
from pipeline.shard_job import (
    DONE,
    JOURNAL,
    PLAN,
    ShardSummary,
    ingest_shards,
    is_whole,
    marker_path,
    read_marker,
    reject_row,
    rows_path,
)
from pipeline.sources import Listing, left_alone, list_sources
from pipeline.store import INDEX, MANIFEST, REJECTS

ATTEMPTS = 3  # at a shard that another worker interferes with
DECODERS = {"pyav": "pipeline.media:decode_clip", "ffmpeg": "pipeline.media_ffmpeg:decode_clip_ffmpeg"}


@dataclass(frozen=True)
class IngestRequest:
    """One `pipeline ingest` command. `shard_clips` and `workers` None: chosen; `timeout` in seconds per clip;
    `decoder` is `module:function`, see `pipeline.decoder_process.Settings`."""

    sources: tuple[Place, ...]
    out: Place
    meta: tuple[Place, ...] = ()
    moment: float | str = "annotated"
    short_side: int = 256
    shard_clips: int | None = None
    workers: int | None = None
    scheduler: str | None = None
    max_reject_fraction: float = 1.0
    timeout: float = 60.0
    front_end: str = DEFAULT
    decoder: str = DECODERS["pyav"]
    companions: Wanted = NOTHING


def decoder_named(name: str) -> str:
    """The decoder behind a `--decoder` name."""
    if name not in DECODERS:
        raise InputError(f"--decoder {name!r} is not known; there are: {', '.join(DECODERS)}.")
    return DECODERS[name]


def run_ingest(request: IngestRequest) -> None:
    """Do what the command asks, or what is left of it. Raises InputError and WorkFailed."""
    started = time.monotonic()
    out = request.out
    if request.companions.proposals:
        check_proposals()
    with _locked(out):
        plan = prepare(request)
        if (out / INDEX).exists():
            print(f"{out} is already finished; nothing to do.")
            report(out, plan, total(out, plan), seconds=None)
            return
        with _explained(out):
            end_attempts(out / JOURNAL)
            make_shards(request, plan)
            _tidy(out)  # after workers that were lost on the way
            forget(out / JOURNAL)
            write_tables(out, plan)
        counts = total(out, plan)
        report(out, plan, counts, time.monotonic() - started)
        accept(out, plan, counts, request.max_reject_fraction)


@contextmanager
def _locked(out: Place) -> Iterator[None]:
    """One ingest per folder at a time; the lock dies with its process.

    Object storage has no such lock. Two runs of one command write the same bytes there, whole objects each; another
    command is told that the folder was begun with other input.
    """
    if isinstance(out, RemotePath):
        with _explained(out):
            yield
        return
    try:
        (out / PLAN).mkdir(parents=True, exist_ok=True)
        handle = open(out / PLAN / "lock", "w")  # noqa: SIM115  # closed below
    except OSError as error:
        raise InputError(f"The folder {out} cannot be written ({error}). Give a writable folder to --out.") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"Another ingest is writing to {out}. Wait for it to end, or give another folder to --out."
            ) from error
        yield


@contextmanager
def _explained(out: Place) -> Iterator[None]:
    """Full disks and lost mounts, as a sentence."""
    try:
        yield
    except OSError as error:
        raise WorkFailed(
            f"Writing to {out} failed: {error}. Finished shards are kept: free space or repair the disk, then repeat "
            "the command to continue."
        ) from error


# --- before the shards -----------------------------------------------------------------------------------------------


def prepare(request: IngestRequest) -> Plan:
    """The plan, announced, and on disk: written now, or found there and equal."""
    folder = request.out / PLAN
    try:
        listing = list_sources(request.sources, exclude=request.out, memory=folder / "archives")
    except StorageLost as error:
        raise WorkFailed(f"The sources could not be listed: {error}. Repeat the command.") from error
    labels = find_labels(request.meta, listing)
    plan = make_plan(request, listing, labels)
    announce(listing, labels)
    with _explained(request.out):
        if (folder / "options.json").exists():
            check_same(plan, folder, request.out)
            save_head(plan, folder)
        else:
            _check_untouched(request.out)
            save(plan, folder)
        _tidy(request.out)
    return plan


def _tidy(out: Place) -> None:
    for folder in (out, out / PLAN, out / DONE):
        remove_leftovers(folder)


def _check_untouched(out: Place) -> None:
    if strangers := sorted(path.name for path in out.iterdir() if path.name.startswith("shard-") or path.name == INDEX):
        raise InputError(
            f"{out} holds shards of unknown origin ({strangers[0]}). Give an empty or new folder to --out."
        )


def make_plan(request: IngestRequest, listing: Listing, labels: Labels) -> Plan:
    """Labels joined, duplicates settled, shards cut: the same listing and labels give the same plan."""
    clips, duplicates = unique_keys(labels.join(listing.clips))
    options = IngestOptions(
        short_side=request.short_side,
        moment=request.moment,
        front_end=request.front_end,
        decoder=request.decoder,
        shard_clips=request.shard_clips or automatic_shard_clips(len(clips)),
        **asdict(request.companions),
    )
    roots = tuple(source.resolve() for source in request.sources)
    return Plan(options, roots, cut_shards(clips, options.shard_clips), (*listing.refusals, *duplicates))


def announce(listing: Listing, labels: Labels) -> None:
    """Say what was found, what was left alone, and which label lists are used."""
    print(
        f"found {len(listing.clips)} clips" + (f" ({listing.archives} tar files included)" if listing.archives else "")
    )
    if line := left_alone(listing, (table.path for table in labels.tables)):
        print(line)
    for line in labels.describe(listing.clips):
        print(line)


# --- the shards ------------------------------------------------------------------------------------------------------


def make_shards(request: IngestRequest, plan: Plan) -> None:
    """Have every unfinished shard made, and those made again that two attempts crossed in."""
    for _ in range(ATTEMPTS):
        _make_missing(request, plan)
        crossed = [shard for shard in range(len(plan.shards)) if not is_whole(request.out, shard)]
        if not crossed:
            return
        for shard in crossed:
            marker_path(request.out, shard).unlink()
    raise WorkFailed(
        f"Shard {crossed[0]} of {request.out} keeps changing after it was finished: another ingest, or a worker of an "
        "earlier one, still writes there. End it, then repeat the command."
    )


def _make_missing(request: IngestRequest, plan: Plan) -> None:
    """Here or on the cluster."""
    out = request.out.resolve()
    tasks = [task for task in plan.tasks if not all(marker_path(out, shard).exists() for shard in task)]
    missing = sum(len(plan.shards[shard]) for task in tasks for shard in task)
    with progress("ingest", plan.clips, "clips") as advance:
        advance(plan.clips - missing)
        if tasks:
            workers = min(request.workers or available_cores(), len(tasks))
            with connected(request.scheduler, workers) as client:
                jobs = [(out, task.start, task.stop, request.timeout) for task in tasks]
                for done in run_all(client, ingest_shards, jobs):
                    advance(done.clips)


# --- after the shards ------------------------------------------------------------------------------------------------


def write_tables(out: Place, plan: Plan) -> None:
    """Join the shards' rows to manifest and rejects. WorkFailed when an input is in neither."""
    shards = range(len(plan.shards))
    _write_table(out / MANIFEST, MANIFEST_SCHEMA, (read_table(rows_path(out, shard)) for shard in shards))
    for kind in plan.options.companions.kinds:
        tables = (read_table(rows_path(out, shard, kind)) for shard in shards)
        _write_table(out / companion_manifest(kind), COMPANION_SCHEMA, tables)
    _write_table(out / REJECTS, REJECT_SCHEMA, _reject_tables(out, plan))
    records, rejects = (_rows(out / name) for name in (MANIFEST, REJECTS))
    if records + rejects != plan.inputs:
        raise WorkFailed(
            f"{out} accounts for {records} records and {rejects} rejects, but {plan.inputs} inputs were found. This is "
            "a defect of ingest, not of your files; please report it, and ingest into a new folder."
        )


def _rows(path: Place) -> int:
    with path.open("rb") as handle:
        return cast(int, pq.read_metadata(handle).num_rows)


def _reject_tables(out: Place, plan: Plan) -> Iterator[pa.Table]:
    refused = [reject_row(refusal.path, "list", refusal.reason, refusal.message) for refusal in plan.refusals]
    yield pa.Table.from_pylist(sorted(refused, key=lambda row: (row["path"], row["message"])), REJECT_SCHEMA)
    for shard in range(len(plan.shards)):
        yield pa.Table.from_pylist(json.loads(marker_path(out, shard).read_bytes())["rejects"], REJECT_SCHEMA)


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
    with _explained(out):
        write_whole(out / INDEX, json.dumps(_index(out, plan, counts.records, rejects), indent=1).encode())


def _index(out: Place, plan: Plan, records: int, rejects: int) -> dict[str, object]:
    options = json.dumps(asdict(plan.options), sort_keys=True).encode()
    return {
        "schema_version": SCHEMA_VERSION,
        "front_end": plan.options.front_end,
        "short_side": plan.options.short_side,
        "clips": records,
        "rejects": rejects,
        "shards": len(plan.shards),
        "companions": list(plan.options.companions.kinds),
        "options_sha256": hashlib.sha256(options).hexdigest(),
        "manifest_sha256": hashlib.sha256((out / MANIFEST).read_bytes()).hexdigest(),
    }


def report(out: Place, plan: Plan, counts: ShardSummary, seconds: float | None) -> None:
    """The closing table; `seconds` None leaves the speed out."""
    facts: dict[str, object] = {
        "inputs": plan.inputs,
        "records": counts.records,
        "shards": f"{len(plan.shards)}, {counts.bytes_written / 1e6:.1f} MB",
        "rejects": counts.reasons.total(),
    }
    facts |= {f"  {reason}": f"{count:<6} {REASONS[reason]}" for reason, count in counts.reasons.most_common()}
    facts |= {f"flag {flag}": count for flag, count in sorted(counts.flags.items())}
    if seconds:
        speed = f"{plan.clips / seconds:.1f} clips/s, {counts.bytes_read / seconds / 1e6:.1f} MB/s read"
        facts["speed"] = f"{speed}, {seconds:.1f} s"
    summary(f"shards in {out}", facts)
