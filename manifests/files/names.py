"""Names that people give and that become names of files or folders: one part of a path, and no way elsewhere."""

import hashlib
import os

LONGEST = 200  # bytes; file systems take 255, and what is written adds to a name
LONGEST_WITHIN = 100  # bytes of a name in the hidden one of a file beside it


def name_problem(name: str) -> str | None:
    """Why a text cannot name a file or a folder (`is empty ...`), None when it can."""
    if not name or name in (".", ".."):
        return "is empty or only dots, which names no folder or file of its own"
    if "/" in name:
        return "holds a slash, which would lead to another folder"
    if not name.isprintable():
        return "holds a character that cannot be printed"
    size = len(name.encode("utf-8", "surrogatepass"))
    return f"has {size} bytes; {LONGEST} are the most" if size > LONGEST else None


def within_another(name: str) -> str:
    """A name as it stands in that of a hidden file beside it: whole, or its beginning and a digest of all of it."""
    content = os.fsencode(name)
    if len(content) <= LONGEST_WITHIN:
        return name
    digest = hashlib.sha256(content).hexdigest()[:16]
    return f"{os.fsdecode(content[: LONGEST_WITHIN - len(digest) - 1])}-{digest}"
