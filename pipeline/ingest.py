"""`pipeline ingest` as a whole: list, label, plan, have the shards made, account for every input
(`pipeline.jobs.totals`).

A folder without `index.json` is unfinished, and the same command continues it. One whose sources have grown gets
further shards; until these are there, it is what it was.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from manifests.commands.counting import are, counted
from manifests.errors import InputError, WorkFailed
from manifests.files.locks import held
from manifests.files.outputs import check_folder
from pipeline.console import progress
from pipeline.jobs.attempt_log import end_attempts, forget
from pipeline.jobs.cluster import available_cores, connected, run_all, threads
from pipeline.jobs.growth import describe, grown
from pipeline.jobs.next_files import described, with_next_files
from pipeline.jobs.options import IngestOptions
from pipeline.jobs.plan import Found, Plan, first_plan, is_planned, load_plan, save, save_head
from pipeline.jobs.repair import forget_damaged
from pipeline.jobs.shard_job import DONE, JOURNAL, ShardSummary, ingest_shards, is_whole, marker_path
from pipeline.jobs.told import ClipsDone, heard_by
from pipeline.jobs.totals import accept, is_finished, report, total, write_tables
from pipeline.media.proposals import check_proposals
from pipeline.shards.store import INDEX, MANIFEST, PLAN, REJECTS
from pipeline.sources.labels import Labels, find_labels
from pipeline.sources.listing import Listing, left_alone, list_sources
from pipeline.sources.litter import litter_left_alone
from pipeline.sources.moments import Moments, read_moments
from pipeline.storage.files import remove_leftovers
from pipeline.storage.remote import Place, RemotePath, StorageLost

ATTEMPTS = 3  # at a shard that another worker interferes with


@dataclass(frozen=True)
class IngestRequest:
    """One `pipeline ingest` command. `workers` None: one per core; `timeout` in seconds per clip."""

    sources: tuple[Place, ...]
    out: Place
    options: IngestOptions = field(default_factory=IngestOptions)
    meta: tuple[Place, ...] = ()
    workers: int | None = None
    scheduler: str | None = None
    max_reject_fraction: float = 1.0
    timeout: float = 60.0
    moments: Path | None = None  # a list of several clips of each video


def run_ingest(request: IngestRequest) -> None:
    """Do what the command asks, or what is left of it. Raises InputError and WorkFailed."""
    started = time.monotonic()
    out = request.out
    if request.options.companions.proposals:
        check_proposals()
    with _explained(out):
        check_own(out)
    with _locked(out):
        plan, found = prepare(request)
        if is_finished(out, plan) and not _damaged(out, plan):
            print(f"{out} is already finished; nothing to do.")
            report(out, plan, total(out, plan))
            return
        with _explained(out):
            end_attempts(out / JOURNAL)
            plan, made = make_all(request, plan, found)
            _tidy(out)  # after workers that were lost on the way
            forget(out / JOURNAL)
            (out / INDEX).unlink(missing_ok=True)  # of a folder that has grown: it speaks of the tables before
            write_tables(out, plan)
        counts = total(out, plan)
        report(out, plan, counts, made, time.monotonic() - started)
        with _explained(out):
            accept(out, plan, counts, request.max_reject_fraction)


def check_own(out: Place) -> None:
    """InputError when a folder holds other things than shards, finished or not."""
    check_folder(out, lambda names: not names.isdisjoint({PLAN, INDEX}), "pipeline ingest")


def _damaged(out: Place, plan: Plan) -> bool:
    """Whether shards of a finished folder must be made again, which is said."""
    damaged = forget_damaged(out, plan)
    if damaged:
        print(f"{are(len(damaged), 'file')} missing or not what was written, such as {damaged[0]}: made again")
    return bool(damaged)


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
    with held(out / PLAN / "lock", out, "ingest", "Wait for it to end, or give another folder to --out."):
        yield


@contextmanager
def _explained(out: Place) -> Iterator[None]:
    """Full disks and lost mounts, as a sentence."""
    try:
        yield
    except StorageLost:
        raise
    except OSError as error:
        raise WorkFailed(
            f"Writing to {out} failed: {error}. Finished shards are kept: free space or repair the disk, then repeat "
            "the command to continue."
        ) from error


# --- before the shards -----------------------------------------------------------------------------------------------


def prepare(request: IngestRequest) -> tuple[Plan, Found]:
    """The plan, announced, and on disk: written now, or found there and continued with what is new; and what it is
    of."""
    folder = request.out / PLAN
    memory = folder / "archives"
    listing = list_sources(request.sources, exclude=request.out, memory=memory)
    labels = find_labels(request.meta, listing)
    roots = tuple(source.resolve() for source in request.sources)
    moments = None if request.moments is None else read_moments(request.moments)
    clips = labels.join(listing.clips) if moments is None else moments.clips(labels.join(listing.clips))
    found = Found(request.options, roots, tuple(clips), tuple(listing.refusals))
    announce(listing, labels, moments)
    with _explained(request.out):
        if is_planned(folder):
            plan = _continued(found, request.out, memory)
        else:
            _check_untouched(request.out)
            save(plan := first_plan(found), folder)
        _tidy(request.out)
    return plan, found


def _continued(found: Found, out: Place, memory: Place) -> Plan:
    """The plan on disk, with what is new."""
    saved = load_plan(out / PLAN)
    plan = grown(saved, found, out, memory)
    for line in describe(saved, plan, found, out):
        print(line)
    if plan.shards == saved.shards and plan.refusals == saved.refusals:
        save_head(plan, out / PLAN)
        return plan
    if plan.shards == saved.shards:  # nothing will tell the finished folder from one whose tables are old
        (out / INDEX).unlink(missing_ok=True)
    save(plan, out / PLAN)
    return plan


def _tidy(out: Place) -> None:
    for folder in (out, out / PLAN, out / DONE):
        remove_leftovers(folder)


def _check_untouched(out: Place) -> None:
    names, written = sorted(path.name for path in out.iterdir()), {INDEX, MANIFEST, REJECTS, DONE, JOURNAL}
    if strangers := [name for name in names if name.startswith("shard-") or name in written]:
        raise InputError(
            f"{out} holds {strangers[0]}, which no ingest of this folder has written. Give an empty or new folder to "
            "--out."
        )


def announce(listing: Listing, labels: Labels, moments: Moments | None = None) -> None:
    """Say what was found, what was left alone, and which label lists are used."""
    tars = f" ({counted(listing.archives, 'tar file')} included)" if listing.archives else ""
    print(f"found {counted(len(listing.clips), 'clip')}{tars}")
    if line := left_alone(listing, (table.path for table in labels.tables)):
        print(line)
    if line := litter_left_alone(listing.litter):
        print(line)
    for line in (*labels.describe(listing.clips), *(moments.describe(listing.clips) if moments else ())):
        print(line)


# --- the shards ------------------------------------------------------------------------------------------------------


def make_all(request: IngestRequest, plan: Plan, found: Found) -> tuple[Plan, ShardSummary]:
    """Have all shards made, and those of the files that are tried where others of their key were rejected."""
    made = make_shards(request, plan)
    while (further := with_next_files(plan, found, request.out)) is not None:
        print(described(list(chain(*further.shards[len(plan.shards) :]))))
        save(further, request.out / PLAN)
        plan = further
        made += make_shards(request, plan)
    return plan, made


def make_shards(request: IngestRequest, plan: Plan) -> ShardSummary:
    """Have every unfinished shard made, and those made again that two attempts crossed in; what was done for it."""
    made, crossed = ShardSummary(), list[int]()
    for _ in range(ATTEMPTS):
        made += _make_missing(request, plan)
        crossed = [shard for shard in range(len(plan.shards)) if not is_whole(request.out, shard)]
        if not crossed:
            return made
        for shard in crossed:
            marker_path(request.out, shard).unlink()
    raise WorkFailed(
        f"Shard {crossed[0]} of {request.out} keeps changing after it was finished: another ingest, or a worker of an "
        "earlier one, still writes there. End it, then repeat the command."
    )


def _make_missing(request: IngestRequest, plan: Plan) -> ShardSummary:
    """Here or on the cluster."""
    out, made = request.out.resolve(), ShardSummary()
    tasks = [task for task in plan.tasks if not all(marker_path(out, shard).exists() for shard in task)]
    missing = sum(len(plan.shards[shard]) for task in tasks for shard in task)
    if not tasks:
        return made
    with connected(request.scheduler, min(request.workers or available_cores(), len(tasks))) as client:
        at_once = min(threads(client), len(tasks))
        with progress("ingest", plan.clips, "clips", plan.clips - missing, at_once) as advance:
            tell = heard_by(client, shown := ClipsDone(advance))
            jobs = [(out, task.start, task.stop, request.timeout, tell) for task in tasks]
            for done in run_all(client, ingest_shards, jobs):
                shown.ended(done.clips)
                made += done
    return made
