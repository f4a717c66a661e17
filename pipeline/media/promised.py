"""How long and how large a file says that it is, and what AVI and ASF say of it where ffmpeg does not tell.

Of a file that was cut off ffmpeg makes less of what is stated: in AVI it shortens it by what is missing, in ASF it
drops it. What was promised is needed to see that something is missing, and which moment was meant. A program that
writes into a pipe, or is killed, leaves a number in the header that stands for a length not known yet: that is none.
"""

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, cast

import av

from pipeline.media.matroska_index import announced_bytes

ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_BROADCAST = 1  # the flag of a file written before its length was known
# For "not known yet" an AVI counts so many images or pieces of sound: 2^30 is ffmpeg's (AVI_MAX_RIFF_SIZE).
UNKNOWN_COUNTS = (1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
UNKNOWN_SIZES = (0, *UNKNOWN_COUNTS)  # the same of bytes
CHUNK_HEADER = 8  # bytes that an image of an AVI takes at least
FEWEST_BYTES = 1  # of a second: the slowest speech takes 50 times that, of a file cut off some of them are left
INDEX_ENTRY = struct.Struct("<4sIII")  # of idx1: which stream, flags, place, bytes
LONGEST_INDEX = 1 << 26
MOST_OBJECTS = 64


def stated_seconds(container: av.container.InputContainer, content: BinaryIO) -> float:
    """What the header says; 0 where it does not, or says what no file of this size can hold. The handle stands
    afterwards where it stood."""
    known = max(0, container.duration or 0) / av.time_base
    stood = content.tell()
    try:
        size = content.seek(0, os.SEEK_END)
        match container.format.name:
            case "avi":
                known = _of_avi(container, known, max(size, _of_riff(content)))
            case "asf" if length := _of_asf(content):
                starts = [float((stream.start_time or 0) * _base(stream)) for stream in container.streams]
                known = max(known, length + max(starts, default=0.0) - min(starts, default=0.0))  # as of a whole file
        return known if known * FEWEST_BYTES <= size else 0.0
    finally:
        content.seek(stood)


def _of_avi(container: av.container.InputContainer, known: float, announced: int) -> float:
    """What its streams of images say; what ffmpeg knows counts those of sound as well."""
    counts = [video.frames for video in container.streams.video]
    if any(not count or count in UNKNOWN_COUNTS or count * CHUNK_HEADER > announced for count in counts):
        return 0.0
    if any(audio.frames in UNKNOWN_COUNTS for audio in container.streams.audio):
        known = 0.0
    return max([known, *(float(video.frames * _base(video)) for video in container.streams.video)])


def lacks_bytes(container: av.container.InputContainer, content: BinaryIO) -> bool:
    """Whether the file is smaller than its header says. Few forms say it, and room may have been made for a download
    before it came. The handle stands afterwards where it stood."""
    stood = content.tell()
    try:
        size = content.seek(0, os.SEEK_END)
        match container.format.name:
            case "avi":
                return _of_riff(content) > size
            case "asf":
                properties = _file_properties(content)
                return int.from_bytes(properties[16:24], "little") > size
            case "matroska,webm":
                return announced_bytes(content) > size
        return False
    finally:
        content.seek(stood)


def _of_riff(content: BinaryIO) -> int:
    """How large an AVI says that it is; 0 where it does not. Of a longer one the first part says its own size."""
    content.seek(4)
    announced = int.from_bytes(content.read(4), "little")
    return 0 if announced in UNKNOWN_SIZES else 8 + announced


def held_images(container: av.container.InputContainer, content: BinaryIO, number: int) -> int:
    """How many images at the end of a stream of an AVI are the one before still shown, as the index of the file says:
    they are pieces of 0 bytes, which ffmpeg does not give. The handle stands afterwards where it stood."""
    if container.format.name != "avi":
        return 0
    stood = content.tell()
    try:
        index = _avi_index(content)
    finally:
        content.seek(stood)
    held = 0
    for place in reversed(range(0, len(index) - INDEX_ENTRY.size + 1, INDEX_ENTRY.size)):
        name, _, _, size = INDEX_ENTRY.unpack_from(index, place)
        if name[:2] == b"%02d" % number:
            if size:
                break
            held += 1
    return held


def _avi_index(content: BinaryIO) -> bytes:
    place = 12
    for _ in range(MOST_OBJECTS):
        content.seek(place)
        head = content.read(8)
        size = int.from_bytes(head[4:], "little")
        if len(head) < 8 or head[:4] == b"idx1":
            return content.read(min(size, LONGEST_INDEX)) if len(head) == 8 else b""
        place += 8 + size + size % 2
    return b""


def _base(stream: av.stream.Stream) -> Fraction:
    return cast(Fraction, stream.time_base)  # every stream of a file has one; in AVI it is one image


def _of_asf(content: BinaryIO) -> float:
    if not (found := _file_properties(content)):
        return 0.0
    played, preroll = (int.from_bytes(found[place : place + 8], "little") for place in (40, 56))
    return max(0.0, played / 1e7 - preroll / 1e3)  # counted in 100 ns and in milliseconds


def _file_properties(content: BinaryIO) -> bytes:
    """Nothing where they were written before they were known."""
    found = next((body for name, body in _objects(content) if name == ASF_FILE_PROPERTIES), b"")
    return b"" if len(found) < 68 or found[64] & ASF_BROADCAST else found


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
