"""Who wants the work that was asked for to end: by visit and by the tab of the page.

It may not have begun yet: then it ends when its turn comes, before any work.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event


@dataclass(frozen=True)
class Stops:
    """Used by many threads at once."""

    _events: dict[tuple[str, str], Event] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, visit: str, tab: str) -> Event:
        """Work is asked for. Its event, set when it shall end; that of earlier work as long as that is not done."""
        with self._lock:
            return self._events.setdefault((visit, tab), Event())

    @contextmanager
    def at_work(self, visit: str, tab: str) -> Iterator[Event]:
        """While the work is done that was asked for; what works looks at the event now and then."""
        event = self.ask(visit, tab)
        try:
            yield event
        finally:
            self.forget(visit, tab)

    def stop(self, visit: str, tab: str) -> None:
        """End what was asked for there, if anything was."""
        with self._lock:
            event = self._events.get((visit, tab))
        if event is not None:
            event.set()

    def forget(self, visit: str, tab: str) -> None:
        """Nothing is asked for any more."""
        with self._lock:
            self._events.pop((visit, tab), None)
