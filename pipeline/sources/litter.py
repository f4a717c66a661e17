"""What systems and downloads leave among videos, beyond what names alone tell: parts of downloads beside each other.

yt-dlp joins `clip.f137.mp4` and `clip.f140.m4a` to `clip.mp4` and removes them; where it was stopped, or told to keep
them, each holds only the image or the sound. aria2 writes into `clip.mp4` itself, and keeps
`clip.mp4.aria2` beside it until all of it is there.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from manifests.files.suffixes import AUDIO_SUFFIXES, MEDIA_SUFFIXES
from pipeline.sources.walk import readable

CONTROL = ".aria2"
_STREAM = re.compile(r"(?P<whole>.+)\.f(?P<form>\d{1,5}(-[A-Za-z0-9]+)*)(?P<suffix>\.[A-Za-z0-9]{2,5})", re.DOTALL)


def unfinished(media: Sequence[str], litter: Iterable[str]) -> set[str]:
    """Which paths of videos and sounds are parts of a download; `litter`: `manifests.files.suffixes.is_litter`."""
    loaded = {path.removesuffix(CONTROL) for path in litter if path.endswith(CONTROL)}
    streams = {path: match for path in media if (match := _STREAM.fullmatch(path)) and _is_media(path)}
    beside: dict[str, set[str]] = defaultdict(set)
    for path in media if streams else ():
        match = streams.get(path)
        beside[match["whole"] if match else str(PurePosixPath(path).with_suffix(""))].add(path)
    parts = {path for path, match in streams.items() if len(beside[match["whole"]]) > 1}
    return parts | loaded.intersection(media)


def _is_media(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in MEDIA_SUFFIXES | AUDIO_SUFFIXES


def litter_left_alone(litter: Sequence[str]) -> str | None:
    """One line on what systems and downloads left among the files. None when there is nothing."""
    if not litter:
        return None
    what = (
        "file of the system or of an unfinished download was"
        if len(litter) == 1
        else ("files of the system or of unfinished downloads were")
    )
    return f"{len(litter)} {what} left alone, such as {readable(min(litter))}"
