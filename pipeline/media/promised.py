"""How long the header of an AVI or ASF file says that it is, where ffmpeg does not tell.

Of a file that was cut off ffmpeg makes less of that: in AVI it shortens what is stated by what is missing, in ASF it
drops it. What was promised is needed to see that something is missing, and which moment was meant.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, cast

import av

ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_BROADCAST = 1  # the flag of a file written before its length was known
MOST_OBJECTS = 64


def promised_seconds(container: av.container.InputContainer, content: BinaryIO) -> float:
    """What the header of an AVI or ASF file says; 0 for other forms, and where it does not say. The handle stands
    afterwards where it stood."""
    match container.format.name:
        case "avi":
            return max((float(video.frames * _base(video)) for video in container.streams.video), default=0.0)
        case "asf" if length := _of_asf(content):
            starts = [float((stream.start_time or 0) * _base(stream)) for stream in container.streams]
            return length + max(starts, default=0.0) - min(starts, default=0.0)  # as of a whole file ffmpeg has it
        case _:
            return 0.0


def _base(stream: av.stream.Stream) -> Fraction:
    return cast(Fraction, stream.time_base)  # every stream of a file has one; in AVI it is one image


def _of_asf(content: BinaryIO) -> float:
    stood = content.tell()
    try:
        found = next((body for name, body in _objects(content) if name == ASF_FILE_PROPERTIES), b"")
    finally:
        content.seek(stood)
    if len(found) < 68 or found[64] & ASF_BROADCAST:
        return 0.0
    played, preroll = (int.from_bytes(found[place : place + 8], "little") for place in (40, 56))
    return max(0.0, played / 1e7 - preroll / 1e3)  # counted in 100 ns and in milliseconds


def _objects(content: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The name and the first bytes of each object of the header."""
    content.seek(0)
    if content.read(30)[:16] != ASF_HEADER:
        return
    place = 30
    for _ in range(MOST_OBJECTS):
        content.seek(place)
        head = content.read(24)
        size = int.from_bytes(head[16:], "little")
        if size < 24:
            return
        yield head[:16], content.read(min(size - 24, 80))
        place += size
