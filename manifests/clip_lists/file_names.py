"""Names of files in the lines of lists: they hold blanks and commas, and a label or the clip's sound may follow."""

import re
from collections.abc import Sequence

from manifests.files.suffixes import AUDIO_SUFFIXES, EVERY_SUFFIX
from manifests.keys import named_clip

_ALTERNATIVES = "|".join(re.escape(suffix) for suffix in sorted(EVERY_SUFFIX, key=len, reverse=True))
_ENDS_IN_SUFFIX = re.compile(rf".*({_ALTERNATIVES})", re.IGNORECASE | re.DOTALL)
_FILE_AND_MORE = re.compile(rf"(?P<file>\S.*?(?P<suffix>{_ALTERNATIVES}))\s+(?P<more>\S.*)", re.IGNORECASE)


def ends_in_suffix(text: str) -> bool:
    """Whether a text ends as names of files do that are made of clips."""
    return _ENDS_IN_SUFFIX.fullmatch(text) is not None


def hold_whole_names(lines: Sequence[str]) -> bool:
    """File names with commas in them, one a line and unquoted: each line ends in a suffix, some hold no comma."""
    plain = all('"' not in line and ends_in_suffix(line.strip()) for line in lines)
    return plain and not all("," in line for line in lines)


def file_of_line(line: str) -> str:
    """The clip in a line without commas: the line, or its first word where the next is a label or the clip's sound."""
    first, _, more = line.strip().partition(" ")
    if more and named_clip(first).start_seconds is not None:
        return first
    match = _FILE_AND_MORE.fullmatch(line.strip())
    if match is None:
        return line
    again = _ENDS_IN_SUFFIX.fullmatch(match["more"])
    sounds = match["suffix"].lower() in AUDIO_SUFFIXES, bool(again and again[1].lower() in AUDIO_SUFFIXES)
    return line if again and sounds[0] == sounds[1] else match["file"]
