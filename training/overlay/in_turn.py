"""Calls that are done one after another in a thread of their own, while the caller goes on."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

Later = Callable[..., None]


@contextmanager
def in_turn(most: int) -> Iterator[Later]:
    """Yields `later(work, *given)`, of which `most` calls wait at a time; at the end all of them are done.

    What a call raises is raised by a later one, or at the end.
    """
    waiting: deque[Future[object]] = deque()
    with ThreadPoolExecutor(1) as worker:

        def later(work: Callable[..., object], *given: object) -> None:
            waiting.append(worker.submit(work, *given))
            while len(waiting) > most:
                waiting.popleft().result()

        yield later
        while waiting:
            waiting.popleft().result()
