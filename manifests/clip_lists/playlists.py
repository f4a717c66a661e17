"""Lists for players: of ffmpeg, which files to put end to end (its concat demuxer: `file 'clip.mp4'`, a line each), and
M3U, whose other lines begin with #."""

import re
from collections.abc import Sequence
from pathlib import Path

from manifests.errors import InputError
from manifests.files.given import shortened

_VERSION = re.compile(r"ffconcat\s+version\s.*")
_QUOTED = re.compile(r"file\s+'.*'")
_PIECES = re.compile(r"'(?P<quoted>[^']*)'|\\(?P<letter>.)|(?P<plain>[^'\\])")
_OF_NO_CLIP = frozenset({"ffconcat", "duration"})


def files_of_concat(lines: Sequence[str], path: Path) -> list[str] | None:
    """The files that such a list names; None for another one, as `file 1.mp4` may be a name itself. InputError where
    it says more of them than how long they are: it may take parts of files, which a list of clips cannot."""
    lines = [line.strip() for line in lines]
    if not lines or not (_VERSION.fullmatch(lines[0]) or _are_all_quoted(lines)):
        return None
    said = [(line.split(maxsplit=1)[0], line) for line in lines if not line.startswith("#")]
    if others := [line for word, line in said if word not in {"file", *_OF_NO_CLIP}]:
        raise InputError(
            f"{path} is a list for ffmpeg to put files end to end, and has the line {shortened(repr(others[0]), 80)}, "
            "which may take a part of a file. Give the names of the clips, one a line."
        )
    return [_unquoted(line.removeprefix("file").strip()) for word, line in said if word == "file"]


def files_of_playlist(lines: Sequence[str]) -> list[str] | None:
    """The files that an M3U names; None for another list."""
    if not lines or lines[0].split()[0] != "#EXTM3U":
        return None
    return [line.strip() for line in lines if not line.startswith("#")]


def _are_all_quoted(lines: Sequence[str]) -> bool:
    files = [line for line in lines if line.startswith("file")]
    others = [line for line in lines if not line.startswith(("file", "#"))]
    words = all(re.match(r"(duration|inpoint|outpoint)\s+[\d:.]+$", line) for line in others)
    return bool(files) and words and all(map(_QUOTED.fullmatch, files))


def _unquoted(text: str) -> str:
    """As ffmpeg reads it: `'it'\\''s.mp4'` is `it's.mp4`."""
    return "".join(found["quoted"] or found["letter"] or found["plain"] or "" for found in _PIECES.finditer(text))
