"""Names of files in the lines of lists: they hold blanks and commas, and a label or the clip's sound may follow."""

import re
from collections.abc import Sequence

from manifests.files.suffixes import AUDIO_SUFFIXES, EVERY_SUFFIX
from manifests.keys import named_clip

_ALTERNATIVES = "|".join(re.escape(suffix) for suffix in sorted(EVERY_SUFFIX, key=len, reverse=True))
_ENDS_IN_SUFFIX = re.compile(rf".*({_ALTERNATIVES})", re.IGNORECASE | re.DOTALL)
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_FILE_AND_MORE = re.compile(rf"(?P<file>\S.*?(?P<suffix>{_ALTERNATIVES}))\s+(?P<more>\S.*)", re.IGNORECASE)


def ends_in_suffix(text: str) -> bool:
    """Whether a text ends as names of files do that are made of clips."""
    return _ENDS_IN_SUFFIX.fullmatch(text) is not None


def is_youtube_id(text: str) -> bool:
    """Whether a text is spelled as YouTube's ids are."""
    return _YOUTUBE_ID.fullmatch(text) is not None


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


def surely_names_a_clip(text: str) -> bool:
    """Whether a text is spelled as only names are: of a file, of a YouTube video, or of a clip of one."""
    name = text.strip()
    return ends_in_suffix(name) or is_youtube_id(name) or named_clip(name).start_seconds is not None


def looks_like_a_name(text: str) -> bool:
    """Whether a text may be a clip's name and no class: `kitchen 1.mp4` and `abc_1`, not `ambulance siren`."""
    name = text.strip()
    return surely_names_a_clip(name) or (" " not in name and any(letter.isdigit() for letter in name))
