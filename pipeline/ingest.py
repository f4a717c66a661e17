"""`pipeline ingest` as a whole: list, label, plan, have the shards made, account for every input
(`pipeline.jobs.totals`).

A folder without `index.json` is unfinished, and the same command continues it.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from manifests.errors import InputError, WorkFailed
from pipeline.console import progress
from pipeline.jobs.attempt_log import end_attempts, forget
from pipeline.jobs.cluster import available_cores, connected, run_all
from pipeline.jobs.options import IngestOptions, automatic_shard_clips
from pipeline.jobs.plan import Plan, check_same, cut_shards, save, save_head
from pipeline.jobs.shard_job import (
    DONE,
    JOURNAL,
    PLAN,
    ingest_shards,
    is_whole,
    marker_path,
)
from pipeline.jobs.totals import accept, report, total, write_tables
from pipeline.jobs.unique_keys import unique_keys
from pipeline.media.proposals import check_proposals
from pipeline.shards.store import INDEX
from pipeline.sources.labels import Labels, find_labels
from pipeline.sources.listing import Listing, left_alone, list_sources, litter_left_alone
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


def run_ingest(request: IngestRequest) -> None:
    """Do what the command asks, or what is left of it. Raises InputError and WorkFailed."""
    started = time.monotonic()
    out = request.out
    if request.options.companions.proposals:
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
        with _explained(out):
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
    size = request.options.shard_clips or automatic_shard_clips(len(clips))
    roots = tuple(source.resolve() for source in request.sources)
    options = replace(request.options, shard_clips=size)
    return Plan(options, roots, cut_shards(clips, size), (*listing.refusals, *duplicates))


def announce(listing: Listing, labels: Labels) -> None:
    """Say what was found, what was left alone, and which label lists are used."""
    print(
        f"found {len(listing.clips)} clips" + (f" ({listing.archives} tar files included)" if listing.archives else "")
    )
    if line := left_alone(listing, (table.path for table in labels.tables)):
        print(line)
    if line := litter_left_alone(listing):
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
