"""How long a file of sound says that it is, in the forms whose demuxers take what is there for the whole; and whether
another recording lies behind the first one of a Matroska or Ogg file, of which its header says nothing.

One rule holds for every form: what a file states is what should be there. Where it was cut off, and what is missing was
needed, the clip is refused (`still`). A size that stands for "until the end", as writers leave it that cannot go back,
states nothing; nor do forms without a length (AAC, Ogg, MP3 without a Xing, Info or VBRI header). Other sizes beyond
the file are those of files that were cut off, large ones as well: the numbers that writers choose are known.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

UNTIL_THE_END = 0  # what `stated_bytes` says of a file that goes on until its end
# Bytes that stand for it in 32 bits, by the programs that leave them in a pipe, as their sources have them. Many, and
# ffmpeg in AIFF, leave 0, which no file can be cut off from.
PLACEHOLDERS = {
    0x7F000000: "sox (AIFF, AIFC)",
    0x7FFFF000: "sox (WAV), espeak-ng, piper",
    0x7FFFFF00: "early arecord",
    0x7FFFFFFF: "lame --decode, oggdec",
    0x80000000: "arecord",
    0xFFFFFFFF: "ffmpeg (WAV, AU), sox (AU), schism tracker",
}
PLACEHOLDER_SLACK = 0x10000  # rounded down to whole blocks (65,535 bytes at most), or a header added
UNTIL_THE_END_64 = 1 << 40  # bytes; what stands for it in 64 bits is at least this
MP3_SCANNED = 4096  # bytes of the first frame and of an ID3 tag before it
MOST_CHUNKS = 64
OGG_PAGE, OGG_PAGE_BYTES, OGG_BEGINS = b"OggS", 27, 2  # what a page begins with, up to its segments; a stream's first
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_SIZES: dict[bytes, tuple[Callable[[bytes], int], bool]] = {  # by the first four bytes: the size; is it long
    b"RIFF": (lambda head: int.from_bytes(head[4:8], "little") + 8, False),
    b"RIFX": (lambda head: int.from_bytes(head[4:8]) + 8, False),
    b"RF64": (lambda head: int.from_bytes(head[20:28], "little") + 8, True),
    b"BW64": (lambda head: int.from_bytes(head[20:28], "little") + 8, True),
    b"FORM": (lambda head: int.from_bytes(head[4:8]) + 8, False),
    b"riff": (lambda head: int.from_bytes(head[16:24], "little"), True),
    b".snd": (lambda head: int.from_bytes(head[4:8]) + int.from_bytes(head[8:12]), False),
}
_SAMPLES_PER_FRAME = {3: 1152, 2: 576, 0: 576}  # layer III of MPEG 1, 2 and 2.5, by the version's two bits


def stated_bytes(content: BinaryIO) -> int | None:
    """How many bytes the file should have; UNTIL_THE_END where its size stands for that, None where the form has no
    size. The handle is moved."""
    content.seek(0)
    head = content.read(32)
    if head[:4] == b"caff":
        return max((end for end in _caf_chunks(content) if end < UNTIL_THE_END_64), default=None)
    if head[:4] not in _SIZES:
        return None
    read, is_long = _SIZES[head[:4]]
    size = read(head)
    goes_on = size >= UNTIL_THE_END_64 if is_long else _is_placeholder(size)
    return UNTIL_THE_END if goes_on else size


def _is_placeholder(size: int) -> bool:
    return any(abs(size - each) <= PLACEHOLDER_SLACK for each in PLACEHOLDERS)


def _caf_chunks(content: BinaryIO) -> Iterator[int]:
    """Where each chunk ends, up to one that goes on until the end of the file."""
    place = 8
    for _ in range(MOST_CHUNKS):
        content.seek(place)
        header = content.read(12)
        size = int.from_bytes(header[4:], signed=True)
        if len(header) < 12 or size < 0:
            return
        place += 12 + size
        yield place


def is_followed_by_another(content: BinaryIO) -> bool:
    """Whether a Matroska or WebM file was put before another one: its segment ends where an EBML header begins. The
    handle stands afterwards where it stood."""
    stood = content.tell()
    content.seek(0)
    try:
        header, size = content.read(4), _ebml_size(content)
        if header != EBML or size is None:
            return False
        content.seek(size, 1)
        segment, size = content.read(4), _ebml_size(content)
        if segment != SEGMENT or size is None:
            return False
        content.seek(size, 1)
        return content.read(4) == EBML
    finally:
        content.seek(stood)


def _ebml_size(content: BinaryIO) -> int | None:
    """The size of an element, which stands behind its name; None where it goes on until the end."""
    first = content.read(1)
    width = 9 - first[0].bit_length() if first and first[0] else 0
    rest = content.read(width - 1) if width else b""
    if not width or len(rest) < width - 1:
        return None
    bits = 7 * width
    size = int.from_bytes(first + rest) & ((1 << bits) - 1)
    return None if size == (1 << bits) - 1 else size


def is_chained_ogg(content: BinaryIO) -> bool:
    """Whether Ogg recordings lie end to end: a page that begins a stream comes after pages that go on with one. The
    handle stands afterwards where it stood."""
    stood, goes_on = content.tell(), False
    content.seek(0)
    try:
        while len(page := content.read(OGG_PAGE_BYTES)) == OGG_PAGE_BYTES and page.startswith(OGG_PAGE):
            begins = bool(page[5] & OGG_BEGINS)
            if begins and goes_on:
                return True
            goes_on = goes_on or not begins
            content.seek(sum(content.read(page[26])), 1)
        return False
    finally:
        content.seek(stood)


def has_no_length(head: bytes) -> bool:
    """Whether a file that begins so (36 bytes) is an RF64 whose table of sizes says 0, as ffmpeg leaves it in a pipe:
    its sound goes on until the end, and demuxers take it for empty."""
    return head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64" and head[28:36] == bytes(8)


def stated_frames(content: BinaryIO) -> int | None:
    """How many samples an MP3's header says it has; None where there is no such header. The handle is moved."""
    content.seek(0)
    head = content.read(10)
    begin = 0
    if head[:3] == b"ID3":
        begin = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    content.seek(begin)
    frame = content.read(MP3_SCANNED)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    samples = _SAMPLES_PER_FRAME.get(frame[1] >> 3 & 3, 0)
    for mark, offset, has_count in ((b"Xing", 8, 1), (b"Info", 8, 1), (b"VBRI", 14, 0)):
        place = frame.find(mark, 0, 200)
        if place >= 0 and (not has_count or frame[place + 7] & 1):
            return samples * int.from_bytes(frame[place + offset : place + offset + 4])
    return None
