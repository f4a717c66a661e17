"""A process of a run ends when its launcher does, or another process of the run: within seconds, with a sentence.

torchrun's agent that is killed with -9 leaves its processes to train on alone. So each looks once a second whether its
parent is still the one that started it. (`prctl(PR_SET_PDEATHSIG)` would do so without looking, but it goes by the
thread that started the process, and kills without a word.)

The agents end the other processes of their own machine when one of theirs dies. Beyond a machine, and where a process
hangs, each tells the others through the launcher's store that it lives; who has not done so for LOST seconds is lost.
The store itself may be on the host that is lost. Where the network is cut, torch waits for its answer for a quarter of
an hour, whatever time limit it is given: so what asks the store is never what measures the time.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from manifests.commands.endings import GOES_ON
from manifests.errors import InputError

LAUNCHED = "TORCHELASTIC_RUN_ID"  # torchrun sets it for the processes that it starts
OTHER_ENDED = "another process of the run has ended"  # what one says that lost it: no reason of its own
LOOK = 1.0  # seconds
BEAT = 5.0
LOST = 40.0
GRACE = 20.0  # seconds to save in, where a signal came before the launcher went
LEFT = b"left"
T = TypeVar("T")
_stopping = threading.Event()


def end_with_launcher() -> None:
    """Watch the parent where it is a launcher: call this first, before anything that takes time."""
    if LAUNCHED in os.environ:
        threading.Thread(target=_watch_parent, args=(os.getppid(),), name="launcher", daemon=True).start()


def of_launcher(name: str, otherwise: int) -> int:
    """A whole number from 0 on that the launcher put into the environment. InputError for anything else there."""
    given = os.environ.get(name, str(otherwise))
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise InputError(
            f"The environment's {name} is {given!r}, where torchrun puts a whole number. Start the command with "
            f"torchrun, or unset {name}."
        )
    return int(given)


def is_saving() -> None:
    """Say that this process was asked to stop, and should be given time to."""
    _stopping.set()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    if _stopping.is_set():
        time.sleep(GRACE)
    _end(f"torchrun (process {parent}) is gone. This process of its run ends, too.")


def answered(ask: Callable[[], T], whom: str) -> Callable[[], T]:
    """A question to a store, of which nobody knows whether it returns: this process ends where it does not."""

    def asked() -> T:
        waiting = threading.Timer(LOST, _end, (f"{whom} has not been heard of for {LOST:.0f} s.",))
        waiting.daemon = True
        waiting.start()
        try:
            return ask()
        finally:
            waiting.cancel()

    return asked


@contextmanager
def living_together(rank: int, world: int, start: str) -> Iterator[None]:
    """Tell the other ranks of a start that this one lives, and watch them, as long as the block lasts."""
    ended = threading.Event()
    thread = threading.Thread(target=_Peers(rank, world, start).watch, args=(ended,), name="peers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(2 * BEAT)


class _Peers:
    """The ranks of a run, as seen by one of them through a connection of its own to the launcher's store."""

    def __init__(self, rank: int, world: int, start: str) -> None:
        self.rank, self.start, self.others = rank, start, [other for other in range(world) if other != rank]
        self._seen = {other: (b"", time.monotonic()) for other in self.others}
        self._heard = time.monotonic()

    def watch(self, ended: threading.Event) -> None:
        """End this process where another, or the store, is lost; until the event, which the others are then told."""
        telling = threading.Thread(target=self._tell, args=(ended,), name="telling", daemon=True)
        telling.start()
        while not ended.wait(LOOK):
            if (lost := self._lost()) is not None:
                _end(f"{lost} has not been heard of for {LOST:.0f} s. Process {self.rank} of the run ends, too.")
        telling.join(BEAT)

    def _tell(self, ended: threading.Event) -> None:
        """Tell the others of this process, and look at what they tell: a thread that a silent store holds up."""
        store = self._connected()
        beat = 0
        while not ended.wait(BEAT):
            beat += 1
            with suppress(RuntimeError):  # torch's store errors are of this kind
                store = store or self._connected()
                self._look(store, beat)
        with suppress(RuntimeError):
            if store is not None:
                store.set(self._name(self.rank), LEFT)

    def _connected(self) -> Any:
        import torch.distributed as dist

        host, port = os.environ.get("MASTER_ADDR", "localhost"), of_launcher("MASTER_PORT", 0)
        with suppress(RuntimeError):
            return dist.TCPStore(host, port, is_master=False, wait_for_workers=False)
        return None

    def _look(self, store: Any, beat: int) -> None:
        if store is None:
            return
        store.set(self._name(self.rank), str(beat))
        now = self._heard = time.monotonic()
        for other in self.others:
            if store.check([self._name(other)]):
                content = store.get(self._name(other))
                if content == LEFT or content != self._seen[other][0]:
                    self._seen[other] = content, now

    def _lost(self) -> str | None:
        now = time.monotonic()
        if now - self._heard > LOST:
            return "The launcher's store"
        return next((f"Process {other} of the run" for other, (_, at) in self._seen.items() if now - at > LOST), None)

    def _name(self, rank: int) -> str:
        return f"{self.start}/alive/{rank}"  # agents of several hosts count restarts each for themselves


def _end(why: str) -> None:
    print(f"failed: {why} {GOES_ON}", file=sys.stderr, flush=True)
    os._exit(1)
