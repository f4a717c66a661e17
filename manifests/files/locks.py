"""One writer for a folder at a time. The lock ends with its process, and holds on disks that several machines share.

It is the kernel's lock (`flock`) on a small file. That is not enough everywhere: some network disks keep no locks,
others keep them for each machine alone. So the holder also writes into the file who it is, with a number that it raises
every few seconds, and whoever finds the note of another machine watches that number before it takes the folder.
"""

import errno
import fcntl
import json
import os
import platform
import stat
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.given import read_bytes
from manifests.files.names import within_another
from manifests.machine import may_pass

BEAT = 4.0  # seconds between two signs of life
WATCHED = 3 * BEAT  # seconds without one after which another machine's holder counts as gone
LONGEST_NOTE, BEGINS = 10_000, b'{"host"'  # bytes of a note, which may be written at this moment
LOOKS, AT_A_TIME = 10, 0.01  # tries to take a lock, and seconds between two
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL, errno.EBADF}  # of some network disks
_open: set[int] = set()


@contextmanager
def held(lock: Path, folder: Path, who: str, remedy: str) -> Iterator[None]:
    """Hold `folder` by the file `lock`, which is made, and removed at the end, as are folders made for it that nothing
    was written into: what is refused leaves none. `who` names what writes: run, ingest.

    InputError when it cannot be made, and when another process holds it: says which one, since when, and `remedy`.
    """
    note = {"host": platform.node(), "pid": os.getpid(), "token": uuid.uuid4().hex}
    note["since"] = datetime.now().astimezone().isoformat(timespec="seconds")
    made = [each for each in lock.parents if not each.is_dir()]
    descriptor = _opened(lock, folder)
    try:
        _check_lock(descriptor, lock)
        if not _taken(descriptor, lock, note):
            named = f": {holder}" if (holder := _holder(lock)) else ""
            raise InputError(f"Another {who} is writing to {folder}{named}. {remedy}")
        with _showing_life(lock, descriptor, note):
            yield
    finally:
        _close(descriptor)
        _remove_empty(made)


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, inner ones first, up to one that holds something."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def held_from_beside(folder: Path) -> AbstractContextManager[None]:
    """Hold what a command names by --out, by a file beside it: it may be replaced. Raises as `held`."""
    folder = folder.absolute()
    remedy = "Wait for it to end, or choose another --out."
    return held(folder.with_name(f".{within_another(folder.name)}.lock"), folder, "command", remedy)


def last_holder(lock: Path) -> tuple[str, bool | None]:
    """Who holds a folder or was killed while it did, in words, and whether it still does: None where this machine
    cannot tell. No words where nobody is known; nothing is written, and nobody waited for.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return "", False
    except OSError:
        return "", None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(lock), True
    except OSError:  # a disk without locks
        return _holder(lock), None
    finally:
        os.close(descriptor)
    note = _note(lock)
    return _holder(lock), None if note and not _ended_here(note, platform.node()) else False


def _opened(lock: Path, folder: Path) -> int:
    """The lock's file, for writing: of one that is only read, network disks give no lock. No link is followed."""
    try:
        descriptor = _made_and_opened(lock)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise _no_lock(lock) from error
        if may_pass(error):
            raise
        raise InputError(f"{folder} cannot be written: {error.strerror}. Name a folder that can be written.") from error
    _open.add(descriptor)
    return descriptor


def _made_and_opened(lock: Path) -> int:
    """Made again where the folder goes meanwhile: other processes remove the empty ones that they made."""
    for _ in range(LOOKS):
        with suppress(FileNotFoundError, FileExistsError):
            return _made_and_opened_once(lock)
    return _made_and_opened_once(lock)


def _made_and_opened_once(lock: Path) -> int:
    lock.parent.mkdir(parents=True, exist_ok=True)
    return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def _check_lock(descriptor: int, lock: Path) -> None:
    """InputError for what somebody else has put there: it would be written over."""
    facts = os.fstat(descriptor)
    own = stat.S_ISREG(facts.st_mode) and facts.st_nlink < 2
    if not own or os.pread(descriptor, len(BEGINS), 0) not in (b"", BEGINS):
        raise _no_lock(lock)


def _no_lock(lock: Path) -> InputError:
    return InputError(f"{lock} is no lock of this program, which keeps one under this name. Move it away.")


def _close(descriptor: int) -> None:
    _open.discard(descriptor)
    os.close(descriptor)


def _taken(descriptor: int, lock: Path, note: dict[str, Any]) -> bool:
    """Whether the folder is ours now."""
    try:
        locks = True
        if not _locked(descriptor):
            return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        locks = False
    before = _note(lock)
    if before and not (locks and _ended_here(before, note["host"])) and _lives(lock, before):
        return False
    _write(descriptor, note | {"beat": 0})
    if locks:
        return _is_at(lock, descriptor)
    time.sleep(BEAT / 4)  # of two that began at once, the one that wrote last stays
    return _note(lock).get("token") == note["token"]


def _locked(descriptor: int) -> bool:
    """Whether the kernel gave the lock. `last_holder` shares it for an instant, which is waited for."""
    for _ in range(LOOKS):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(AT_A_TIME)
    return False


def _ended_here(before: dict[str, Any], host: str) -> bool:
    """Whether the kernel's lock, which is free, has been that of the holder of this note: else it would be there."""
    return before.get("host") == host


def _is_at(lock: Path, descriptor: int) -> bool:
    """Whether the open file still has its name: its last holder may have removed it a moment ago."""
    try:
        return os.path.samestat(os.stat(lock), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lives(lock: Path, before: dict[str, Any]) -> bool:
    """Whether the holder that left this note raises its number."""
    end = time.monotonic() + WATCHED
    while time.monotonic() < end:
        time.sleep(BEAT / 4)
        now = _note(lock)
        if now and now != before:
            return True
    return False


@contextmanager
def _showing_life(lock: Path, descriptor: int, note: dict[str, Any]) -> Iterator[None]:
    """Raise the number in the note; at the end the file goes."""
    ended = threading.Event()

    def show() -> None:
        beat = 0
        while not ended.wait(BEAT):
            beat += 1
            _write(descriptor, note | {"beat": beat})

    thread = threading.Thread(target=show, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(BEAT)
        with suppress(OSError):
            lock.unlink()


def _write(descriptor: int, note: dict[str, Any]) -> None:
    content = json.dumps(note).encode()
    with suppress(OSError):  # a full disk takes no note; the kernel's lock is there all the same
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))


def _note(lock: Path) -> dict[str, Any]:
    """What the holder wrote; nothing where it cannot be read. Opened anew, so that no network disk's cache answers."""
    try:
        content = json.loads(read_bytes(lock, LONGEST_NOTE))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _holder(lock: Path) -> str:
    note = _note(lock)
    if not note:
        return ""
    return f"process {note.get('pid')} on {note.get('host')}, since {note.get('since')}"


def _let_go_in_child() -> None:
    """A forked child holds nothing: a reader process that outlives its parent would keep the folder locked."""
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
