"""Whether a Matroska file has the index (Cues) that makes a seek cheap, and how large it says that it is.

ffmpeg looks a place up in it. Without it (written into a pipe, live, a recorder that was killed, a download that was
cut off) ffmpeg reads everything up to the place, which for the end is all of the file.
"""

import os
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

SEGMENT, SEEK_HEAD, CLUSTER, CUES, CUE_POINT = 0x18538067, 0x114D9B74, 0x1F43B675, 0x1C53BB6B, 0xBB
SEEK, SEEK_ID, SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
MOST_ELEMENTS = 64  # of one list: a handful, as a rule
BEFORE_FIRST = 2  # what may lie in front of the first point: a checksum, room that is free

Element = tuple[int, int, int]  # its name, and where in the file its content begins and ends


def has_index(content: BinaryIO) -> bool:
    """Whether there are Cues with something in them, before the data or where the header says. The handle stands
    afterwards where it stood."""
    stood = content.tell()
    try:
        size = content.seek(0, os.SEEK_END)
        lists = (each for segment in _of(SEGMENT, content, (0, 0, size)) for each in _announced(content, segment))
        return any(_holds_point(content, each) for each in lists)
    finally:
        content.seek(stood)


def announced_bytes(content: BinaryIO) -> int:
    """Where the file ends by what its header says; 0 where that is not known. The handle is moved."""
    size = content.seek(0, os.SEEK_END)
    return next((end for _, _, end in _of(SEGMENT, content, (0, 0, size))), 0)


def _announced(content: BinaryIO, segment: Element) -> Iterator[Element]:
    """Elements that may be the Cues of a segment: what lies before its data, and what the lists there name as such."""
    for element in _elements(content, segment):
        if element[0] == CLUSTER:
            return
        yield element
        if element[0] == SEEK_HEAD:
            for seek in _of(SEEK, content, element):
                yield from islice(_elements(content, (0, _place(content, segment, seek), segment[2])), 1)


def _place(content: BinaryIO, segment: Element, seek: Element) -> int:
    """Where one entry of a list says that Cues lie; the end of the segment where it is of something else."""
    said = {name: _number(content, begin, end) for name, begin, end in _elements(content, seek)}
    return segment[1] + said.get(SEEK_POSITION, 0) if said.get(SEEK_ID) == CUES else segment[2]


def _holds_point(content: BinaryIO, element: Element) -> bool:
    first = islice(_elements(content, element), BEFORE_FIRST + 1)
    return element[0] == CUES and any(name == CUE_POINT for name, _, _ in first)


def _of(name: int, content: BinaryIO, parent: Element) -> Iterator[Element]:
    return (element for element in _elements(content, parent) if element[0] == name)


def _elements(content: BinaryIO, parent: Element) -> Iterator[Element]:
    """The elements in another one, or in the whole file. One of unknown length goes to the end of its parent; others
    may go beyond it."""
    _, place, end = parent
    for _ in range(MOST_ELEMENTS):
        content.seek(place)
        head = content.read(12) if place < end else b""
        name_width = 9 - head[0].bit_length() if head else 9  # 4 at most, 9 where the first byte is 0
        length_width = 9 - head[name_width].bit_length() if name_width <= 4 and len(head) > name_width else 9
        begin = place + name_width + length_width
        if length_width > 8 or len(head) < name_width + length_width:
            return
        length = int.from_bytes(head[name_width : name_width + length_width]) & ((1 << 7 * length_width) - 1)
        place = end if length == (1 << 7 * length_width) - 1 else begin + length
        yield int.from_bytes(head[:name_width]), begin, place


def _number(content: BinaryIO, begin: int, end: int) -> int:
    content.seek(begin)
    return int.from_bytes(content.read(min(end - begin, 8)))
