"""AVE: which seconds of a clip an event is seen and heard in. There are no boxes; it serves retrieval and pictures.

`Annotations.txt` has lines `category&video&quality&start&end`, seconds 0..10 of the ten-second clip. Rows are (video,
category) pairs: 4,143 rows of 4,097 videos in the released file, one of them with an empty span (line 27).
"""

from dataclasses import dataclass
from pathlib import Path

from manifests.content import read_content
from manifests.errors import InputError


@dataclass(frozen=True)
class Event:
    """One row: `start` and `end` in seconds of the clip; an empty span (0 to 0) is kept as read."""

    video: str
    category: str
    quality: str
    start: int
    end: int


def read_ave(path: Path | str) -> tuple[Event, ...]:
    """Read `Annotations.txt`; a first line whose times are not numbers is a header. InputError names a bad line."""
    events = []
    for number, line in enumerate(read_content(path).text().splitlines(), start=1):
        fields = line.strip().split("&")
        if len(fields) == 5 and fields[3].isdigit() and fields[4].isdigit():
            events.append(Event(fields[1], fields[0], fields[2], int(fields[3]), int(fields[4])))
        elif line.strip() and number > 1:
            raise InputError(f"{path}, line {number}, is {line!r}, not category&video&quality&start&end.")
    if not events:
        raise InputError(f"{path} holds no event. Give Annotations.txt as released with AVE.")
    return tuple(events)
