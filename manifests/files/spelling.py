"""Spellings of a file's name: macOS takes letters with marks apart, lists keep them whole, and lose space around names.

Names are compared composed and without such space. A file that a list names is opened as its folder spells it.
"""

import os
import unicodedata
from functools import lru_cache
from pathlib import Path


def composed(text: str) -> str:
    """Text in the one form of Unicode that it is compared in."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def compared(path: str) -> str:
    """The form that paths are compared in, all folders alike."""
    return "/".join(part.strip() or part for part in composed(path).split("/"))


def as_on_disk(path: Path) -> Path:
    """A path as its folders spell it; as it is where nothing is there, or nobody knows which of several is meant."""
    if os.path.lexists(path) or path == path.parent:
        return path
    folder = as_on_disk(path.parent)
    try:
        names = _names_in(str(folder), os.stat(folder).st_mtime_ns)
    except OSError:  # no folder, or not one's own
        return path
    found = names.get(compared(path.name), ())
    return folder / (found[0] if len(found) == 1 else path.name)


@lru_cache(maxsize=8)
def _names_in(folder: str, _changed: int) -> dict[str, list[str]]:
    """What lies in a folder, by names as they are compared; again when it has changed."""
    found: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        found.setdefault(compared(name), []).append(name)
    return found
