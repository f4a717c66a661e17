"""Files that others made: the one opener of them, how much of one is read, and the one way to say what is wrong.

Only regular files are opened: what never ends or never answers (a pipe, a socket, a device) is refused before a byte is
read. What a library raises over bytes that it did not expect is of no foreseeable kind, so `understood` takes all of it
for what it is: a file that cannot be used.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from manifests.errors import InputError, WorkFailed
from manifests.machine import MachineFailed, may_pass

MIB = 1 << 20
PIECE = 1 << 24  # bytes read at a time
MOST_BYTES = 1 << 30  # that are read of one list, annotation file or table; released ones have up to 100 million
MOST_UNPACKED_RATIO = 100  # how many times its size a packed file may unpack to, beyond what any may
LONGEST_REASON = 300  # characters of what a library said
SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# control characters, ends of lines and turns of direction that only Unicode knows, halves of characters
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class NotAFile(OSError):
    """What is there is no file whose content can be read: a pipe, a socket, a device, a folder."""


class TooLarge(ValueError):
    """More bytes than are read of such a file."""


def opened(path: Path | str) -> BufferedReader:
    """A regular file's content, from its start. Raises OSError: NotAFile for anything that is no regular file."""
    _check_regular(os.stat(path))
    handle = open(path, "rb", opener=_at_once)  # noqa: SIM115  # the caller closes it
    try:
        _check_regular(os.fstat(handle.fileno()))  # of what was opened, should it have been exchanged
    except NotAFile:
        handle.close()
        raise
    return handle


def read_bytes(path: Path | str, most: int = MOST_BYTES) -> bytes:
    """All of a regular file. Raises OSError as `opened`, TooLarge for more than `most` bytes."""
    with opened(path) as handle:
        size = os.fstat(handle.fileno()).st_size
        content = b"" if size > most else b"".join(_pieces(handle, most + 1))
    if size > most or len(content) > most:
        raise TooLarge(f"it has more than the {in_words(most)} that are read of such a file")
    return content


def _pieces(handle: BinaryIO, most: int) -> Iterator[bytes]:
    """What follows, up to so many bytes: python takes the memory for all that it is asked for at once."""
    while most > 0 and (piece := handle.read(min(most, PIECE))):
        yield piece
        most -= len(piece)


@contextmanager
def understood(path: object, problem: str = "cannot be read", remedy: str = "") -> Iterator[None]:
    """InputError `<path> <problem> (<what was raised>). <remedy>` for whatever the block raises.

    MachineFailed instead for what repeating the command may cure. What has its words already stays what it is.
    """
    try:
        yield
    except (InputError, WorkFailed):
        raise
    except Exception as error:
        check_lasting(path, error)
        raise InputError(f"{path} {problem} ({reason(error)}). {remedy}".rstrip()) from error


def check_lasting(path: object, error: BaseException) -> None:
    """MachineFailed where `path` may be read when the command is repeated, as it is where a storage was out."""
    if isinstance(error, OSError) and may_pass(error):
        raise not_read(path, error) from error


def not_read(path: object, error: OSError) -> MachineFailed:
    """The words of an error that may pass."""
    if isinstance(error, MachineFailed):
        return type(error)(error.args[0])  # readers of streams add arguments of their own
    return MachineFailed(f"{path} cannot be read ({error.strerror}). When that is put right, repeat the command.")


def reason(error: BaseException) -> str:
    """What an error says, as part of a sentence: one line, printable, not long."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    said = str(error) if not isinstance(error, KeyError) else f"there is no {error.args[0] if error.args else 'key'}"
    return shortened(printable(" ".join(said.split())).rstrip("."), LONGEST_REASON) or type(error).__name__


def printable(text: str) -> str:
    """The text with control characters, and halves of characters, written out."""
    return UNPRINTABLE.sub(written_out, text)


def written_out(found: re.Match[str]) -> str:
    """A character that cannot be printed as python writes it."""
    return found[0].encode("unicode_escape").decode()


def shortened(text: str, most: int) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= most else f"{text[:most]}..."


def in_words(size: int) -> str:
    """Bytes as whole MiB."""
    return f"{size // MIB:,} MiB"


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe, should one have come in the file's place."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def kind_of_special(facts: os.stat_result) -> str | None:
    """What is neither file nor folder, in words; None for files and folders."""
    return next((name for is_kind, name in SPECIAL if is_kind(facts.st_mode)), None)


def special_file(path: Path | str) -> str | None:
    """As `kind_of_special` of a path, and a link that leads nowhere; None also where nothing is."""
    try:
        return kind_of_special(os.stat(path))
    except (OSError, ValueError):
        return "a link that leads nowhere" if os.path.islink(path) else None


def no_file(path: Path | str) -> str | None:
    """What lies at a path and is no file, a folder too, in words; None for a file, and where nothing is."""
    return "a folder" if os.path.isdir(path) else special_file(path)


def has_file(path: Path | str) -> bool:
    """Whether a file is there. InputError for what is there and is none, which would else be said to be missing, or
    be done without in silence."""
    if (kind := no_file(path)) is not None:
        raise InputError(f"{path} is {kind}, not a file. Put the file there, or take away what is there.")
    return Path(path).is_file()


def is_there(path: Path | str) -> bool:
    """Whether a file or a folder is there. InputError as `has_file`."""
    return os.path.isdir(path) or has_file(path)


def _check_regular(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else kind_of_special(facts) or "no regular file"
        raise NotAFile(f"it is {kind}, not a file")
