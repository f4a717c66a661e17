"""Where the work runs: the same tasks on this machine's cores or on a running Dask cluster.

The plan knows nothing of Dask and Dask nothing of clips: a task is a function and a few numbers, its result a few
counts. Only a window of tasks is handed out at a time, so memory and scheduler load do not grow with the corpus.

Whoever may connect to a scheduler may run code as its user. The processes of a local cluster speak TLS with a key that
is made for this run and leaves no process of it; what a remote one asks for is the user's to set up (docs/cluster.md).
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from manifests.errors import InputError, WorkFailed
from manifests.files.given import reason, understood
from manifests.files.temporary import temporary_folder
from pipeline.jobs.code_version import code_version, other_code, run_as
from pipeline.jobs.scheduler_check import NO_PAGES, REMEDY, check_scheduler

if TYPE_CHECKING:
    from distributed import Client, Future, Scheduler

Result = TypeVar("Result")
WAIT_FOR_SCHEDULER, WAIT_FOR_WORKERS = 15, 60  # seconds
WAIT_FOR_NEW_WORKERS = 300.0  # seconds that a scheduler may be without any, in the middle, before the command gives up
ASK_EVERY = 30.0  # seconds without a result after which the scheduler is asked whether it still has workers
ALLOWED_FAILURES = 50  # worker deaths a task survives; three, Dask's default, would let one bad node end a shard


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def connected(scheduler: str | None, workers: int) -> Iterator["Client"]:
    """A client of the cluster at `scheduler` ("tcp://host:port"), or of `workers` local processes of one thread."""
    with _remote(scheduler) if scheduler else _local(workers) as client:
        with understood(f"The Dask scheduler at {scheduler or 'this machine'}", "does not run this program"):
            client.run_on_scheduler(_tolerate_worker_deaths)
        yield client


# Dask samples its workers' stacks 100 times a second and watches their memory and locks: all of it for its dashboard.
# Nor is there a page to look at: it would be open to everybody on this machine.
QUIET = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.scheduler.active-memory-manager.start": False,
}
# Dask looks 15 s after a worker's death whether another one stands in its place, and gives the place up where none
# does: on a busy machine, where starting takes longer, the run would then wait for a worker that nobody starts.
KEPT = {"distributed.deploy.lost-worker-timeout": "1 day"}
SETTINGS = "See to Dask's settings: DASK_... in the environment, and files in ~/.config/dask and /etc/dask."


@contextmanager
def _local(workers: int) -> Iterator["Client"]:
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    dask.config.set(QUIET | KEPT)  # worker processes take it over from here
    with temporary_folder("ingest") as own, dask.config.set({"temporary-directory": str(own)}):  # nobody else's
        with understood("The processes of this command", "cannot be started", SETTINGS):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,
                dashboard_address="127.0.0.1:0",  # any free port: the usual one may be taken by another cluster
                silence_logs=logging.CRITICAL,
                protocol="tls://",
                scheduler_kwargs={"dashboard": False},
                security=Security.temporary(),
            )
        with cluster, Client(cluster) as client:
            yield client


@contextmanager
def _remote(scheduler: str) -> Iterator["Client"]:
    from distributed import Client

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # a lost scheduler is told in our words
    check_scheduler(scheduler, WAIT_FOR_SCHEDULER)
    with understood(f"The Dask scheduler at {scheduler}", "cannot be used", REMEDY):
        client = Client(scheduler, timeout=WAIT_FOR_SCHEDULER)
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
        except TimeoutError as error:
            raise InputError(
                f"The Dask scheduler at {scheduler} has no worker after {WAIT_FOR_WORKERS} s. Start some with "
                f"`dask worker {scheduler} --nthreads 1 {NO_PAGES}` in an environment that has this project installed."
            ) from error
        _check_workers(client)
        yield client


def _check_workers(client: "Client") -> None:
    """InputError where a worker has not the code that runs here."""
    here = code_version()
    for worker, there in client.run(code_version, on_error="return").items():
        if there != here:
            raise InputError(other_code(f"The worker {worker}", there, here))


def _tolerate_worker_deaths(dask_scheduler: "Scheduler") -> None:
    dask_scheduler.allowed_failures = ALLOWED_FAILURES


def threads(client: "Client") -> int:
    """How many tasks the cluster works on at the same time; one that is not known yet counts as one."""
    return max(1, sum(client.nthreads().values()))


def run_all(client: "Client", work: Callable[..., Result], jobs: Sequence[tuple[object, ...]]) -> Iterator[Result]:
    """Results of `work(*job)` in order of completion, never more than a few jobs per worker handed out at a time.

    Raises what a job raised, and WorkFailed when the cluster is lost, keeps losing the workers of a job, or has been
    without a worker for WAIT_FOR_NEW_WORKERS seconds.
    """
    from distributed import CancelledError
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker

    waiting = iter(jobs)
    window = 2 * threads(client)
    submit = partial(client.submit, run_as, code_version(), work, pure=False)
    running = {submit(*job) for job in islice(waiting, window)}
    try:
        while running:
            done = _finished(client, running)
            running -= done
            for future in done:
                yield future.result()
                running |= {submit(*job) for job in islice(waiting, 1)}
    except KilledWorker as error:
        raise WorkFailed(f"A shard lost its worker {ALLOWED_FAILURES} times and was given up ({error}).") from error
    except ImportError as error:
        raise InputError(other_code("A worker", reason(error), code_version())) from error
    except (CancelledError, CommClosedError) as error:
        raise WorkFailed(
            "The Dask cluster was lost: its scheduler is gone or has dropped this command's work. Finished shards are "
            "kept; the same command continues, with any --scheduler or none."
        ) from error


def _finished(client: "Client", running: set["Future"]) -> set["Future"]:
    """Those that end next. A scheduler without workers keeps its tasks for ever, so it is asked from time to time."""
    from distributed import wait

    alone_since = None
    while True:
        try:
            return set(wait(running, timeout=min(ASK_EVERY, WAIT_FOR_NEW_WORKERS), return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            if _has_workers(client):
                alone_since = None
                continue
        alone_since = alone_since or time.monotonic()
        if time.monotonic() - alone_since >= WAIT_FOR_NEW_WORKERS:
            address = client.scheduler.address if client.scheduler else "this address"
            raise WorkFailed(
                f"The Dask scheduler at {address} has had no worker for {WAIT_FOR_NEW_WORKERS:g} s, "
                "and work is left. Start workers again and repeat the command: finished shards are kept."
            )


def _has_workers(client: "Client") -> bool:
    """Whether the scheduler has any; a scheduler that does not answer is the client's to find again or to give up."""
    try:
        return bool(client.nthreads())
    except OSError:
        return True
