"""Names in the two forms that Unicode has for letters with marks: macOS takes them apart, lists keep them whole.

Names are compared composed. A file that a list names is opened as its folder spells it.
"""

import os
import unicodedata
from functools import lru_cache
from pathlib import Path


def composed(text: str) -> str:
    """The one form that names are compared in."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def as_on_disk(path: Path) -> Path:
    """A path as its folders spell it; as it is where nothing is there, or nobody knows which of several is meant."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    folder = as_on_disk(path.parent)
    try:
        names = _names_in(str(folder), os.stat(folder).st_mtime_ns)
    except OSError:  # no folder, or not one's own
        return path
    found = names.get(composed(path.name), ())
    return folder / (found[0] if len(found) == 1 else path.name)


@lru_cache(maxsize=8)
def _names_in(folder: str, _changed: int) -> dict[str, list[str]]:
    """What lies in a folder, by composed names; again when it has changed."""
    found: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        found.setdefault(composed(name), []).append(name)
    return found
