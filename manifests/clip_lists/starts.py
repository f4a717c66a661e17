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
from manifests.keys import CLIP_SECONDS, named_clip, segment_key

END_OF_STARTS = 1_000_000  # seconds; keys have six digits for them
LONG_AS_MILLISECONDS = 1000 * CLIP_SECONDS
_MOST_SHOWN = 80
_SECONDS = re.compile(r"\d+(\.\d+)?")
_CLOCK = re.compile(r"(\d+:)?\d{1,4}:\d{1,2}([.,]\d*)?")
_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?\s*(s|secs?|seconds?|ms|m)?", re.IGNORECASE)
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


def is_youtube_id(text: str) -> bool:
    """Whether a text is spelled as YouTube's ids are."""
    return _YOUTUBE_ID.fullmatch(text) is not None


def is_seconds(text: str) -> bool:
    """Whether a text is a number of seconds as lists write it."""
    return _SECONDS.fullmatch(text) is not None


def is_time(text: str, any_form: bool = False) -> bool:
    """Whether a text is a time of another form than seconds: minutes and seconds, or `any_form` of a number."""
    return _CLOCK.fullmatch(text) is not None or (any_form and _NUMBER.fullmatch(text) is not None)


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


def in_seconds(windows: Sequence[tuple[object, object]], path: Path) -> list[object]:
    """The starts of (start, end) of rows, None where they do not say. As in the names of files, windows of 10,000 are
    of ten seconds, in milliseconds. InputError where only some are."""
    lengths = [_length(*window) for window in windows]
    if LONG_AS_MILLISECONDS not in lengths:
        return [start for start, _ in windows]
    if other := [window for window, length in zip(windows, lengths, strict=True) if length != LONG_AS_MILLISECONDS]:
        raise InputError(
            f"{path} gives some starts in milliseconds, as windows of 10,000 tell, and has one of "
            f"{shortened(f'{other[0][0]} to {other[0][1]}', _MOST_SHOWN)}, of which it is not certain. Give all "
            "of them in seconds."
        )
    return [float(str(start)) / 1000 for start, _ in windows]


def _length(start: object, end: object) -> float | None:
    """How long a window is, in its own unit; None where a start or an end is no number."""
    numbers = [float(text) for value in (start, end) if is_seconds(text := str(value).strip())]
    return numbers[1] - numbers[0] if len(numbers) == 2 else None


def timed_names(
    names: Sequence[str], windows: Sequence[tuple[object, object]], columns: Sequence[str], path: Path
) -> list[str]:
    """What clips are called by name, start and end (None: not said) of their rows; `columns` say where the names stood.

    Names are of videos where their column says so, or where all are spelled so: `kitchen_001` beside `hall_1` is none.
    InputError for a start that cannot be read, or that one row lacks and others have.
    """
    if all(start is None for start, _ in windows) or all(map(str.isdigit, names)):
        return list(names)
    alike = all(is_youtube_id(name) or named_clip(name).start_seconds is not None for name in names)
    return [
        timed_key(name, start, path) if is_youtube_id(name) and (alike or column in VIDEO_IDS) else name
        for name, start, column in zip(names, in_seconds(windows, path), columns, strict=True)
    ]
