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


def is_event(line: str) -> bool:
    """Whether a line can be nothing but a row."""
    fields = _fields(line)
    return len(fields) == 5 and all(map(_SECONDS.fullmatch, fields[3:]))


def _fields(line: str) -> list[str]:
    """From behind: a category may be called `rock & roll`."""
    return [field.strip() for field in line.rsplit("&", 4)]


def _is_header(line: str) -> bool:
    """Whether a first line names columns: a time in it makes it a row, though one that cannot be read."""
    return not any(letter.isdigit() for field in _fields(line)[3:] for letter in field)


def events_of(text: str, path: Path) -> tuple[Event, ...]:
    """The rows of `path`. InputError names a line that is no row and no header, or says that there is none."""
    events = []
    for number, line in enumerate(lines_of(text), start=1):
        if is_event(line):
            category, video, quality, start, end = _fields(line)
            events.append(Event(video, category, quality, int(start), int(end), line))
        elif line.strip() and not (number == 1 and _is_header(line)):
            raise InputError(f"{path}, line {number}, is {line!r}, not category&video&quality&start&end.")
    if not events:
        raise InputError(f"{path} holds no event. Give Annotations.txt as released with AVE.")
    return tuple(events)
