"""How far jobs are while they work: a shard takes minutes, and what a command costs should be known before its end.

Jobs tell it through Dask's events, which reach this command the same way from this machine's processes and a cluster's.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

    from pipeline.console import Advance

EVERY = 1.0  # seconds at least between two words of a job
Tell = Callable[[int, int], None]  # which task, and how many of its clips are done


@dataclass(frozen=True)
class Telling:
    """What a job calls to be heard by the command that listens to this topic."""

    topic: str

    def __call__(self, task: int, clips: int) -> None:
        from distributed import get_worker

        get_worker().log_event(self.topic, [task, clips])


def heard_by(client: "Client", count: "ClipsDone") -> Telling:
    """Let the jobs of a client be heard; what they are to call."""
    telling = Telling(f"clips-done-{uuid.uuid4().hex}")  # several commands may share a scheduler
    client.subscribe_topic(telling.topic, lambda event: count.heard(*event[1]))
    return telling


class ClipsDone:
    """Shows the clips that are done, those of unfinished tasks included.

    A task whose worker is lost begins anew: what was shown of it stays, until the new attempt is further.
    """

    def __init__(self, advance: "Advance") -> None:
        self._advance, self._lock = advance, threading.Lock()
        self._told = dict[int, int]()
        self._finished = self._shown = 0

    def heard(self, task: int, clips: int) -> None:
        """So many clips of a task are done; 0 says that its work begins now."""
        with self._lock:
            if not clips:
                self._advance(0)
            self._told[task] = max(clips, self._told.get(task, 0))
            self._show(sum(self._told.values()))

    def ended(self, clips: int) -> None:
        """A task of so many clips is finished."""
        with self._lock:
            self._finished += clips
            self._show(self._finished)

    def _show(self, clips: int) -> None:
        if clips > self._shown:
            self._advance(clips - self._shown)
            self._shown = clips


class SomeTimes:
    """Tells of a task, but no more often than every second."""

    def __init__(self, tell: Tell | None, task: int) -> None:
        self._tell, self._task, self._last = tell, task, time.monotonic()
        if tell is not None:
            tell(task, 0)

    def __call__(self, before: int, clips: int) -> None:
        """Of the task's clips `before`, those of its earlier shards, are done, and `clips` more."""
        now = time.monotonic()
        if self._tell is not None and now - self._last >= EVERY:
            self._last = now
            self._tell(self._task, before + clips)
