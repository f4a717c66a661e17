"""Open a media file by what it holds: its name, its suffix and what a playlist inside mentions are never followed."""

import io
import os
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.container import InputContainer

from manifests.files.given import opened
from manifests.files.images import MOST_PIXELS
from pipeline.media.announced import has_no_length

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")


def nameless(content: bytes | Path) -> BinaryIO:
    """The content as a file without a name, so that neither its suffix nor its spelling can matter.

    Raises OSError, as for what is no regular file.
    """
    if isinstance(content, bytes):
        return io.BytesIO(content)
    with opened(content) as named:
        return open(os.dup(named.fileno()), "rb")


def open_container(content: BinaryIO) -> InputContainer:
    """Open without ever following a reference to another file or host.

    The header of an mp4 states codecs, sizes and rates; decoding frames to find them out, as other formats need, would
    cost more than the seek. Packets are read all the same: without an edit list, or cut into fragments, only they tell
    when a stream starts. Raises av.FFmpegError or ValueError where nothing opens it.
    """
    beginning = content.read(36)
    content.seek(0)
    if not beginning:
        raise ValueError("the file is empty")
    options = {"protocol_whitelist": "none", "max_pixels": str(MOST_PIXELS)}
    if beginning[4:8] in _MP4_BOXES:
        options["skip_frame"] = "all"
    if has_no_length(beginning):
        options["ignore_length"] = "1"
    return cast(InputContainer, av.open(content, "r", options=options, metadata_errors="ignore"))
