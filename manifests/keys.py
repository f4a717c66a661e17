"""Clip names: every spelling of a VGGSound clip on users' disks becomes one key, `<id>_<start:06d>`.

YouTube ids are 11 characters that may hold `_` and start with `-`, so names are never split at the first `_` (27,501 of
190,228 listed ids contain one). Three spellings are in use: `<id>_<seconds>`, `<id>_<start ms>_<end ms>` and
`v<id>_<start s>_<end s>_out`; a ten-second window tells milliseconds (end - start = 10000) from seconds (10).
"""

import re
from dataclasses import dataclass

CLIP_SECONDS = 10
_SECONDS = re.compile(r"v?(?P<id>[A-Za-z0-9_-]{11})_(?P<start>\d{1,6})(?:\.0)?")
_WINDOW = re.compile(r"v?(?P<id>[A-Za-z0-9_-]{11})_(?P<start>\d{1,8})_(?P<end>\d{1,8})(?:_out)?")


@dataclass(frozen=True)
class ClipName:
    """What a file stem says about a clip.

    `key` is unique in a corpus; `source_id` names the video it was cut from (clips of one video are never each
    other's neighbours); `start_seconds` is the cut's start in that video, None for names that do not say.
    """

    key: str
    source_id: str
    start_seconds: int | None


def parse_clip_name(stem: str) -> ClipName:
    """Read a file stem (name without directories and suffix); names of no known spelling keep their stem as key."""
    if (match := _WINDOW.fullmatch(stem)) and (start := _window_start(match)) is not None:
        return _vggsound(match["id"], start)
    if match := _SECONDS.fullmatch(stem):
        return _vggsound(match["id"], int(match["start"]))
    return ClipName(stem, stem, None)


def _vggsound(source_id: str, start_seconds: int) -> ClipName:
    return ClipName(f"{source_id}_{start_seconds:06d}", source_id, start_seconds)


def _window_start(match: re.Match[str]) -> int | None:
    """Start in seconds of a `<start>_<end>` name, None when the window is not ten seconds in either unit."""
    start, end = int(match["start"]), int(match["end"])
    if end - start == CLIP_SECONDS * 1000:
        return start // 1000
    return start if end - start == CLIP_SECONDS else None
