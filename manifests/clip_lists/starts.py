"""Where a clip begins in its video, as lists say it beside the video's YouTube id: one rule for all layouts.

`<id>,30` is the clip `<id>_000030`. Names of other forms stay what they are: that of a file, or one that carries its
start, is a clip's own, and digits alone are Flickr's.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from manifests.clip_lists.rows import VIDEO_IDS
from manifests.errors import InputError
from manifests.files.given import shortened
from manifests.keys import named_clip, segment_key

END_OF_STARTS = 1_000_000  # seconds; keys have six digits for them
_MOST_SHOWN = 80
_SECONDS = re.compile(r"\d+(\.\d+)?")
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


def is_youtube_id(text: str) -> bool:
    """Whether a text is spelled as YouTube's ids are."""
    return _YOUTUBE_ID.fullmatch(text) is not None


def is_seconds(text: str) -> bool:
    """Whether a text is a number of seconds as lists write it."""
    return _SECONDS.fullmatch(text) is not None


def timed_key(video: str, start: object, path: Path) -> str:
    """The key of the clip that begins at `start` (text or a number) of a video. InputError for what is no second."""
    seconds = start if type(start) in (int, float) else None
    if isinstance(start, str) and is_seconds(start.strip()):
        seconds = float(start)
    if not isinstance(seconds, int | float) or not 0 <= seconds < END_OF_STARTS:
        said = "no start" if start is None else f"the start {shortened(repr(start), _MOST_SHOWN)}"
        raise InputError(
            f"{path} gives a clip of the video {video} {said}. A start is a number of seconds, such as 30 or 12.5, "
            f"below {END_OF_STARTS:,}; correct the list."
        )
    return segment_key(video, seconds)


def timed_names(names: Sequence[str], starts: Sequence[object], columns: Sequence[str], path: Path) -> list[str]:
    """What clips are called by name and start (None: not said) of their rows; `columns` say where the names stood.

    Names are of videos where their column says so, or where all are spelled so: `kitchen_001` beside `hall_1` is none.
    InputError for a start that cannot be read, or that one row lacks and others have.
    """
    if all(start is None for start in starts) or all(map(str.isdigit, names)):
        return list(names)
    alike = all(is_youtube_id(name) or named_clip(name).start_seconds is not None for name in names)
    return [
        timed_key(name, start, path) if is_youtube_id(name) and (alike or column in VIDEO_IDS) else name
        for name, start, column in zip(names, starts, columns, strict=True)
    ]
