"""Rows of AVE's `Annotations.txt`, `category&video&quality&start&end`: the one reader of them, for lists and for truth.

Seconds are whole, 0..10 of the ten-second clip. The copy inside the data set's zip may begin with a header.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from manifests.errors import InputError
from manifests.files.content import lines_of

_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Event:
    """One row: `start` and `end` in seconds of the clip; an empty span (0 to 0) is kept as read."""

    video: str
    category: str
    quality: str
    start: int
    end: int
    line: str


def events_of(text: str, path: Path) -> tuple[Event, ...]:
    """The rows of `path`. InputError names a line that is no row and no header, or says that there is none."""
    events = []
    for number, line in enumerate(lines_of(text), start=1):
        fields = [field.strip() for field in line.split("&")]
        if len(fields) == 5 and all(map(_SECONDS.fullmatch, fields[3:])):
            category, video, quality, start, end = fields
            events.append(Event(video, category, quality, int(start), int(end), line))
        elif line.strip() and number > 1:
            raise InputError(f"{path}, line {number}, is {line!r}, not category&video&quality&start&end.")
    if not events:
        raise InputError(f"{path} holds no event. Give Annotations.txt as released with AVE.")
    return tuple(events)
