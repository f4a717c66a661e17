"""How the processes of a run find each other, the first time and every time that torchrun starts them again.

torchrun keeps its store of keys when it starts ranks again (--max-restarts). What the dead ones left there, addresses
among it, would be taken for that of the living, who would wait for ever. So each start writes under a name of its own.
"""

import time
import uuid

import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from manifests.errors import WorkFailed
from manifests.files.given import understood

WAIT = 600.0  # seconds that processes wait for each other before the first step
ASK_EVERY = 0.02


def start_of_all(rank: int, world: int) -> tuple[str, dist.Store]:
    """The name that all processes have for this start, and the part of the launcher's store that is its own.

    WorkFailed when processes are missing.
    """
    with understood("What torchrun says in the environment", "cannot be used", "Start the command with torchrun."):
        store = next(rendezvous("env://"))[0]
    start, deadline = (_First if rank == 0 else _Other)(store, rank, world), time.monotonic() + WAIT
    while not start.is_met():
        if time.monotonic() > deadline:
            raise WorkFailed(
                f"Process {rank} of {world} has waited {WAIT:g} s for the others. Look at what they say, and whether "
                "all hosts reach the address that torchrun was given."
            )
        time.sleep(ASK_EVERY)
    return start.name, dist.PrefixStore(start.name, store)


class _First:
    """The first rank names the start, and says when all others have come."""

    def __init__(self, store: dist.Store, _rank: int, world: int) -> None:
        self.store, self.others = store, world - 1
        self.name = uuid.uuid4().hex
        store.set("start", self.name)

    def is_met(self) -> bool:
        """Whether all have come."""
        met = self.store.add(f"{self.name}/came", 0) == self.others
        if met:
            self.store.set(f"{self.name}/met", "")
        return met


class _Other:
    """Any other rank comes to starts it has not been at, this process or one of its number before, until one is met."""

    def __init__(self, store: dist.Store, rank: int, _world: int) -> None:
        self.store, self.rank = store, rank
        self.name = ""
        self._is_new = False

    def is_met(self) -> bool:
        """Whether the first one and all others are at the start that is named now."""
        name = self.store.get("start").decode()
        if name != self.name:
            self.name, self._is_new = name, self.store.add(f"{name}/{self.rank}", 1) == 1
            if self._is_new:
                self.store.add(f"{name}/came", 1)
        return self._is_new and self.store.check([f"{name}/met"])
