"""Who wants the work that was asked for to end: by visit and by the tab of the page."""

import threading
from dataclasses import dataclass, field
from threading import Event


@dataclass(frozen=True)
class Stops:
    """Used by many threads at once. What is in work looks at its event every now and then."""

    _events: dict[tuple[str, str], Event] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, visit: str, tab: str) -> Event:
        """An event for work that begins; it is set when that shall end."""
        with self._lock:
            self._events[visit, tab] = event = Event()
        return event

    def stop(self, visit: str, tab: str) -> None:
        """End what was begun there last, if anything was."""
        with self._lock:
            event = self._events.pop((visit, tab), None)
        if event is not None:
            event.set()
