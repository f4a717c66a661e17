"""Handing tasks to Dask: a bounded window of them, and clear words when nobody is there."""

import pytest

from manifests.errors import InputError
from pipeline.cluster import connected, run_all


def test_only_a_window_of_tasks_is_handed_out() -> None:
    with connected(None, 1) as client:
        most, done = 0, []
        for result in run_all(client, int, [(str(number),) for number in range(60)]):
            done.append(result)
            most = max(most, len(client.futures))
    assert sorted(done) == list(range(60))
    assert most <= 3


def test_no_scheduler_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.cluster.WAIT_FOR_SCHEDULER", 0.5)
    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        connected("tcp://127.0.0.1:9", 1).__enter__()
