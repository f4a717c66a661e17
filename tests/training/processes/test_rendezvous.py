"""Processes that start again meet by a store in which their predecessors have left everything."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch.distributed as dist

from manifests.errors import WorkFailed
from training.processes import rendezvous


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> dist.HashStore:
    """What a launcher keeps over all starts."""
    store = dist.HashStore()
    store.set_timeout(timedelta(seconds=20))
    monkeypatch.setattr(rendezvous, "rendezvous", lambda url: iter([(store, 0, 0)]))
    return store


def meet(ranks: list[int], world: int = 3) -> list[dist.Store]:
    with ThreadPoolExecutor(len(ranks)) as pool:
        return list(pool.map(lambda rank: rendezvous.start_of_all(rank, world)[1], ranks))


def test_every_start_has_keys_of_its_own(store: dist.HashStore) -> None:
    for number in range(3):
        stores = meet([2, 1, 0])  # the others first: they find the name of the start before
        assert not any(each.check(["address"]) for each in stores)
        stores[0].set("address", f"of start {number}")
        assert [each.get("address").decode() for each in stores] == [f"of start {number}"] * 3


@pytest.mark.parametrize("there", [[0, 2], [1, 2], [0], [2]])
def test_a_start_that_some_did_not_live_to_see_is_forgotten(
    store: dist.HashStore, monkeypatch: pytest.MonkeyPatch, there: list[int]
) -> None:
    monkeypatch.setattr(rendezvous, "WAIT", 0.2)
    store.set("start", "of another time")
    with pytest.raises(WorkFailed, match=r"of 3 has waited 0\.2 s for the others"):
        meet(there)
    monkeypatch.setattr(rendezvous, "WAIT", 20.0)
    stores = meet([2, 1, 0])
    stores[0].set("address", "here")
    assert [each.get("address") for each in stores] == [b"here"] * 3
