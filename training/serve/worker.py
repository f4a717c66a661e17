"""The server's side of a desk: start it, give it a job, hear how far it is, end it when it fails or takes too long."""

import multiprocessing
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any

from manifests.errors import InputError, WorkFailed
from training.serve.desk import DONE, FAILED, READY, REFUSED, WORKING, Message, attend
from training.serve.limits import Refused

LOOK = 0.25  # seconds between two looks at the clock
CRASHED = "The file made the decoder crash, so it cannot be shown. Try it in another format, such as mp4."
TOO_LONG = "This took more than {limit:.0f} s and was given up. Try a shorter or smaller file."
STOPPED = "Stopped. You can start it again, or try another."
DEFECT = "Something in this program went wrong; what it was stands in the window of the server."
Attend = Callable[..., None]


class Stopped(Refused):
    """A visitor wanted a job to end."""

    def __init__(self) -> None:
        super().__init__(STOPPED)


@dataclass(frozen=True)
class Working:
    """How far a job is: a sentence, and the share of 0..1 that is done."""

    said: str
    share: float


class Worker:
    """One desk. `arguments` go to it after the pipe; `longest` is the most seconds that a job may take."""

    def __init__(self, arguments: Sequence[Any], longest: float, attend: Attend = attend) -> None:
        self.arguments, self.longest, self.attend = arguments, longest, attend
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def start(self, stop: threading.Event | None = None) -> Any:
        """Start the desk and wait until it is ready; returns what it says of its models. InputError as they raise,
        Stopped when `stop` is set meanwhile."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=self.attend, args=(theirs, *self.arguments), daemon=True)
        self._process.start()
        theirs.close()  # so that its end is seen here
        try:
            while not self._pipe.poll(LOOK):
                if stop is not None and stop.is_set():
                    raise Stopped
            kind, said = self._pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            self.end()
            raise WorkFailed("The process that holds the models ended before they were loaded.") from error
        if kind != READY:
            self.end()
            raise InputError(said)
        return said

    def ask(self, job: Any, stop: threading.Event | None = None) -> Iterator[Working | dict[str, Any]]:
        """Yield how far a job is, at last its answer. Raises Refused with the sentence for the page.

        Who does not wait for the end, or sets `stop`, ends the desk; the next job starts another.
        """
        if stop is not None and stop.is_set():  # while it waited for its turn
            raise Stopped
        finished = False
        try:
            if self._process is None or not self._process.is_alive():
                yield Working("Loading the model again", 0.0)
                self.start(stop)
            for kind, said in self._messages(job, stop or threading.Event()):
                if kind == WORKING:
                    yield Working(*said)
                    continue
                finished = True
                yield self._last(kind, said)
        finally:
            if not finished:
                self.end()

    def _messages(self, job: Any, stop: threading.Event) -> Iterator[Message]:
        pipe, until = self._pipe, monotonic() + self.longest
        assert pipe is not None, "not started"
        kind = WORKING
        try:
            pipe.send(job)
            while kind == WORKING:
                while not pipe.poll(LOOK):
                    if monotonic() > until:
                        raise Refused(TOO_LONG.format(limit=self.longest))
                    if stop.is_set():
                        raise Stopped
                if stop.is_set():  # also of a desk that has much to say
                    raise Stopped
                kind, said = pipe.recv()
                yield kind, said
        except (EOFError, OSError) as error:
            raise Refused(CRASHED) from error

    @staticmethod
    def _last(kind: str, said: Any) -> dict[str, Any]:
        if kind == DONE:
            return said
        if kind == FAILED:
            print(said, file=sys.stderr, flush=True)
        raise Refused(said if kind == REFUSED else DEFECT)

    def end(self) -> None:
        """End the desk at once, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


class Pool:
    """Several workers; each job takes one that is free."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._all = list(workers)
        self._free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._ending = threading.Event()

    @property
    def size(self) -> int:
        return len(self._all)

    def start(self) -> Any:
        """Start all of them; returns what the first says. Raises as `Worker.start`."""
        said = [worker.start() for worker in self._all]
        for worker in self._all:
            self._free.put(worker)
        return said[0]

    def ask(self, job: Any, stop: threading.Event | None = None) -> Iterator[Working | dict[str, Any]]:
        """As `Worker.ask`, of the next that is free."""
        with self._one() as worker:
            yield from worker.ask(job, stop)

    @contextmanager
    def _one(self) -> Iterator[Worker]:
        worker = self._free.get()
        try:
            if self._ending.is_set():
                raise Refused("The server is being stopped.")
            yield worker
        finally:
            self._free.put(worker)

    def end(self) -> None:
        self._ending.set()
        for worker in self._all:
            worker.end()
