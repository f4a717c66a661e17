"""Where a clip begins in its video, as lists say it beside the video's YouTube id: one rule for all layouts.

`<id>,30` is the clip `<id>_000030`. Names of other forms stay what they are: that of a file, or one that carries its
start, is a clip's own, and digits alone are Flickr's.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from manifests.clip_lists.columns import (
    KNOWN_STARTS,
    columns_of,
    end_unit,
    is_known,
    plain,
    shown,
    start_unit,
    values_of,
)
from manifests.clip_lists.file_names import is_youtube_id
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
_LIKE_START = re.compile(r"start|begin|onset|offset|time|seconds?$|segment|interval")
_NO_START = re.compile(  # numbers that lists give of whole videos, by names that are plain
    r"|unnamed\d*|index|idx|rank|duration|length|fps|width|height|views|likes|year|fold|count|score|confidence|quality"
    r"|(class|label|category)(id|idx|index|number)"
)


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
    names: Sequence[str], entries: Sequence[Mapping[str, object]], columns: Sequence[str], path: Path
) -> list[str]:
    """What clips are called by their names and the other columns of their rows; `columns` say where the names stood.

    Names are of videos where their column says so, or where all are spelled so: `kitchen_001` beside `hall_1` is none.
    InputError for a start that cannot be read, that one row lacks and others have, or that a column may hold whose name
    is not known: without their starts all clips of a video would be one.
    """
    if all(map(str.isdigit, names)):
        return list(names)
    alike = all(is_youtube_id(name) or named_clip(name).start_seconds is not None for name in names)
    of_videos = [
        is_youtube_id(name) and (alike or column in VIDEO_IDS) for name, column in zip(names, columns, strict=True)
    ]
    windows = [(_start(entry, path), _end(entry)) for entry in entries]
    if all(start is None for start, _ in windows):
        _check_unread([entry for entry, video in zip(entries, of_videos, strict=True) if video], path)
        return list(names)
    return [
        timed_key(name, start, path) if video else name
        for name, start, video in zip(names, in_seconds(windows, path), of_videos, strict=True)
    ]


def _start(entry: Mapping[str, object], path: Path) -> object:
    """Where a row says that its clip begins, None where it does not. InputError where it says two things."""
    told = {
        column: _converted(value, unit)
        for column, value in entry.items()
        if (unit := start_unit(column)) is not None and value not in (None, "")
    }
    if len({float(str(value)) for value in told.values() if is_seconds(str(value).strip())}) > 1:
        raise InputError(
            f"{path} gives one clip the starts {' and '.join(f'{name} {shown(entry[name])}' for name in told)}, which "
            "are not the same. Leave the column out that is not meant."
        )
    return next(iter(told.values()), None)


def _end(entry: Mapping[str, object]) -> object:
    ends = ((value, end_unit(column)) for column, value in entry.items())
    return next((_converted(value, unit) for value, unit in ends if unit is not None and value not in (None, "")), None)


def _converted(value: object, unit: float) -> object:
    """A time in seconds; what is no number stays what it is."""
    text = str(value).strip()
    return float(text) * unit if unit != 1 and is_seconds(text) else value


def _check_unread(entries: Sequence[Mapping[str, object]], path: Path) -> None:
    for column in columns_of(entries):
        values = values_of(column, entries)
        if values and _may_be_start(column, values):
            raise InputError(
                f"{path} names videos by YouTube ids without a start, and has the column {column!r}, which holds "
                f"{shown(values[0])} and may tell where a clip begins in its video. Call it one of {KNOWN_STARTS} if "
                "it does, or leave it out if the whole videos are meant."
            )


def _may_be_start(column: str, values: Sequence[object]) -> bool:
    name = plain(column)
    if end_unit(column) is None and (is_known(column) or _NO_START.fullmatch(name)):
        return False
    return _LIKE_START.search(name) is not None or all(map(_is_number_or_time, values))


def _is_number_or_time(value: object) -> bool:
    text = str(value).strip()
    return not isinstance(value, bool) and is_time(text, any_form=True)
