"""AVE's released splits: HDF5 files that number rows of `Annotations.txt`, zero-based.

The zip of the videos holds the same splits as rows (`trainSet.txt`, `valSet.txt`, `testSet.txt`), the repository only
these three files. Each is known by its hash and holds nothing but one array of 64-bit integers, so that no library is
needed to read them.
"""

import struct

from manifests.clip_lists.ave_rows import events_of
from manifests.errors import InputError
from manifests.files.content import Content, read_content
from manifests.files.given import has_file
from manifests.files.recognised import HDF5

ROWS = {
    "a216fcdd02782ba9d10c9ea79116120eb3be467740e58290e1b340d42a590456": 3339,
    "5692aec0efb30e4efa49a867a902c1993b4c88a7d3ec19879349e540e7a5d9ca": 402,
    "f9bb79defc1f784ca5dda9cdd3ee52af6d24ccb399a1cfab6bf0d373f5681076": 402,
}
BEGIN = 2144  # byte of the first number, in all three
ANNOTATIONS = "Annotations.txt"


def text_of(content: Content) -> str:
    """The text of a list; of a released order the rows that it numbers, from the `Annotations.txt` beside it.

    InputError for another HDF5 file, and where those rows are not there.
    """
    count = ROWS.get(content.sha256) if content.content.startswith(HDF5) else None
    if count is None:
        return content.text()
    beside = content.path.parent / ANNOTATIONS
    if not has_file(beside):
        raise InputError(
            f"{content.path} numbers rows of AVE's {ANNOTATIONS}, which is not beside it. Put that file there, or give "
            "trainSet.txt, valSet.txt or testSet.txt of AVE's zip."
        )
    numbers = struct.unpack_from(f"<{count}q", content.content, BEGIN)
    rows = [event.line for event in events_of(read_content(beside).text(), beside)]
    if max(numbers) >= len(rows):
        raise InputError(
            f"{content.path} names row {max(numbers) + 1} of {beside}, which has {len(rows)}. Give the released "
            f"{ANNOTATIONS}, of 4,143 rows."
        )
    return "\n".join(rows[number] for number in numbers)
