"""AVE: which seconds of a clip an event is seen and heard in. There are no boxes; it serves retrieval and images.

`Annotations.txt` has lines `category&video&quality&start&end`, seconds 0..10 of the ten-second clip. Rows are (video,
category) pairs: 4,143 rows of 4,097 videos in the released file, one of them with an empty span (line 27).

The released split orders are read as the rows that they number (`manifests.clip_lists.ave_orders`). Other HDF5 is
refused with the one line that turns it into rows of this very format, which every reader of lists takes.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from manifests.annotations import Annotation, TestSet, make_test_set
from manifests.clip_lists.ave_orders import text_of
from manifests.errors import InputError
from manifests.files.content import Content, lines_of, read_content
from manifests.splits import IdList
from manifests.test_sets import RETRIEVAL, Format, Truth

_SECONDS = re.compile(r"[0-9]{1,9}")


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
    return _events(read_content(path))


def read_ave_videos(path: Path | str, name: str = "ave") -> TestSet:
    """The videos of `Annotations.txt` without boxes, labelled with the category of their first row."""
    content = read_content(path)
    labels: dict[str, str] = {}
    for event in _events(content):
        labels.setdefault(event.video, event.category)
    return make_test_set(name, (Annotation.named(video, label, ()) for video, label in labels.items()), content)


def _events(content: Content) -> tuple[Event, ...]:
    events = []
    for number, line in enumerate(lines_of(text_of(content)), start=1):
        fields = line.strip().split("&")
        if len(fields) == 5 and all(map(_SECONDS.fullmatch, fields[3:])):
            events.append(Event(fields[1], fields[0], fields[2], int(fields[3]), int(fields[4])))
        elif line.strip() and number > 1:
            raise InputError(f"{content.path}, line {number}, is {line!r}, not category&video&quality&start&end.")
    if not events:
        raise InputError(f"{content.path} holds no event. Give Annotations.txt as released with AVE.")
    return tuple(events)


def _truth(path: Path, _wanted: IdList | None) -> Truth:
    return Truth("ave", read_ave_videos(path), tasks=frozenset({RETRIEVAL}))


FORMATS = {"ave": Format("AVE: Annotations.txt, videos without boxes", _truth)}
