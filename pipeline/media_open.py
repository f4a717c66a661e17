"""Open a media file by what it holds: its name, its suffix and what a playlist inside mentions are never followed.

Used by `media_file`.
"""

import io
import os
from pathlib import Path
from typing import BinaryIO

import av

from pipeline.media_picture import MAX_PIXELS

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")


def nameless(content: bytes | Path) -> BinaryIO:
    """The content as a file without a name, so that neither its suffix nor its spelling can matter."""
    if isinstance(content, bytes):
        return io.BytesIO(content)
    return open(os.open(content, os.O_RDONLY), "rb")


def open_container(content: BinaryIO) -> av.container.InputContainer:
    """Open without ever following a reference to another file or host.

    The header of an mp4 states everything, but in one that is cut into fragments: there, as in other formats, packets
    must be read to find out, which costs more than the seek, and decoding some of them more still. Raises
    av.FFmpegError or ValueError where nothing opens it.
    """
    beginning = content.read(8)
    content.seek(0)
    if not beginning:
        raise ValueError("the file is empty")
    options = {"protocol_whitelist": "none", "max_pixels": str(MAX_PIXELS)}
    if beginning[4:] in _MP4_BOXES:
        options["skip_frame"] = "all"
        container = _opened(content, options | {"probesize": "32"})
        if all(stream.frames for stream in container.streams):
            return container
        container.close()
        content.seek(0)
    return _opened(content, options)


def _opened(content: BinaryIO, options: dict[str, str]) -> av.container.InputContainer:
    return av.open(content, options=options, metadata_errors="ignore")
