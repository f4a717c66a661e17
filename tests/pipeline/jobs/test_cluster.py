"""Handing tasks to Dask: a bounded window of them, and clear words when nobody is there."""

import pytest

from manifests.errors import InputError, WorkFailed
from pipeline.jobs.cluster import connected, run_all


def test_only_a_window_of_tasks_is_handed_out() -> None:
    with connected(None, 1) as client:
        most, done = 0, []
        for result in run_all(client, int, [(str(number),) for number in range(60)]):
            done.append(result)
            most = max(most, len(client.futures))
    assert sorted(done) == list(range(60))
    assert most <= 3


def test_no_scheduler_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.jobs.cluster.WAIT_FOR_SCHEDULER", 0.5)
    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        connected("tcp://127.0.0.1:9", 1).__enter__()


def test_a_scheduler_without_workers_is_given_up_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only worker leaves for good; one that leaves and comes back in time costs nothing."""
    from distributed import Client, LocalCluster

    monkeypatch.setattr("pipeline.jobs.cluster.WAIT_FOR_NEW_WORKERS", 2.0)
    monkeypatch.setattr("pipeline.jobs.cluster.ASK_EVERY", 0.2)
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        results = run_all(client, pow, [(base, 2) for base in range(20)])
        seen = [next(results)]
        cluster.scale(0)
        cluster.scale(1)
        seen += list(results)
        assert sorted(seen) == [base**2 for base in range(20)]
        cluster.scale(0)
        with pytest.raises(WorkFailed, match=r"has had no worker for 2 s.*repeat the command"):
            list(run_all(client, pow, [(2, 3)]))
