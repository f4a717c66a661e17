"""Temporary folders that outlive no process by much: what a killed one could not remove, the next one removes.

A folder holds a lock as long as its process lives, and the kernel ends the lock with it, also after kill -9. Every
command that needs a temporary folder comes through here, and first removes those of its user and machine that nobody
holds. The lock's file is named after the machine: another one that shares the disk may not see who holds it.
"""

import fcntl
import os
import platform
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from manifests.errors import WorkFailed
from manifests.files.locks import NO_LOCKS
from manifests.files.whole import remove

PREFIX = "sound-source-localization-"
LOCK = f"lock-{platform.node()}".replace("/", "_")
TRIES = 10  # a folder may be taken for left behind in the instant before it is locked


class TemporaryFolder:
    """A new, private folder; gone with `close`, with the object, or at the end of the process.

    `path` is empty but for the lock's file. WorkFailed where none can be made.
    """

    def __init__(self, kind: str, above: Path | None = None) -> None:
        """kind: a word for its name. above: the folder it lies in, the system's temporary one."""
        try:
            above = Path(tempfile.gettempdir()) if above is None else above
            remove_left_behind(above)
            self.path, descriptor = _made(kind, above)
        except OSError as error:
            raise WorkFailed(
                f"no temporary folder can be made: {error}. Free space, or name another place in TMPDIR, and repeat "
                "the command."
            ) from error
        self.close = weakref.finalize(self, _give_up, self.path, descriptor, os.getpid())


@contextmanager
def temporary_folder(kind: str, above: Path | None = None) -> Iterator[Path]:
    """A temporary folder, gone at the end of the block. Raises as `TemporaryFolder`."""
    folder = TemporaryFolder(kind, above)
    try:
        yield folder.path
    finally:
        folder.close()


def remove_left_behind(above: Path) -> None:
    """Remove the temporary folders in `above` that this user's processes have left behind on this machine."""
    for folder in above.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another process removes it at this moment
            facts = folder.lstat()
            if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid():
                _remove_unless_held(folder)


def _remove_unless_held(folder: Path) -> None:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        folder.rmdir()  # of a process killed before there was a lock; one of another machine is not empty
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    finally:
        os.close(descriptor)


def _made(kind: str, above: Path) -> tuple[Path, int]:
    """A new folder, and the descriptor by which this process holds it. Its forks hold it, too: they may use it."""
    for _ in range(TRIES):
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-", dir=above))  # only this user may look into it
        with suppress(FileNotFoundError):
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            if _is_held(folder, descriptor):
                return folder, descriptor
            os.close(descriptor)
    raise FileNotFoundError(f"folders in {above} vanish as soon as they are made")


def _is_held(folder: Path, descriptor: int) -> bool:
    """Take the lock; whether the folder is still there then. A disk without locks lets nobody remove it later."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return (folder / LOCK).exists()


def _give_up(folder: Path, descriptor: int, owner: int) -> None:
    if os.getpid() == owner:  # a fork ends without taking it away
        _remove(folder)
    os.close(descriptor)


def _remove(folder: Path) -> None:
    """The lock last: who is killed meanwhile leaves a folder that the next one knows."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name != LOCK:
                remove(path)
    shutil.rmtree(folder, ignore_errors=True)
