"""AudioSet's strong labels: a row for every event in a clip, which is named `<YouTube id>_<start in milliseconds>`.

The columns are segment_id, start_time_seconds, end_time_seconds, label and in some files present; the seconds are of
the event, within the clip. A clip has the labels of its events, as AudioSet's other lists give those of a clip.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from manifests.clip_lists.rows import ClipLabel, ClipList
from manifests.clip_lists.starts import timed_key
from manifests.errors import InputError
from manifests.files.content import Content
from manifests.files.given import shortened

SEGMENT, LABEL, PRESENT = "segment_id", "label", "present"
COLUMNS = frozenset({SEGMENT, "start_time_seconds", "end_time_seconds"})
_SEGMENT = re.compile(r"(?P<id>[A-Za-z0-9_-]{11})_(?P<milliseconds>\d{1,9})")


def is_strong(columns: Sequence[str]) -> bool:
    """Whether columns are called as there."""
    return {column.strip().lower() for column in columns} >= COLUMNS


def read_strong(content: Content, header: Sequence[str], rows: Sequence[Sequence[str]]) -> ClipList:
    """A clip for each segment, with what sounds in it. InputError for a row that names none."""
    columns = [column.strip().lower() for column in header]
    labels: dict[str, dict[str, None]] = defaultdict(dict)
    for number, row in enumerate(rows, start=2):
        said = dict(zip(columns, map(str.strip, row), strict=False))
        heard = labels[_key(said.get(SEGMENT, ""), number, content)]
        if said.get(LABEL) and said.get(PRESENT, "PRESENT").upper() == "PRESENT":  # else one that was looked for
            heard[said[LABEL]] = None
    found = (ClipLabel(key, ",".join(heard) or None) for key, heard in labels.items())
    return ClipList("AudioSet's strong labels", tuple(found), headers=1)


def _key(segment: str, number: int, content: Content) -> str:
    match = _SEGMENT.fullmatch(segment)
    if match is None:
        raise InputError(
            f"Row {number} of {content.path} has the segment_id {shortened(repr(segment), 80)}, which is no YouTube id "
            "with a start in milliseconds, as AudioSet's strong labels name clips. Correct that line."
        )
    return timed_key(match["id"], int(match["milliseconds"]) / 1000, content.path)
