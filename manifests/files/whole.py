"""Writing files so that a reader sees nothing or the whole file. Every writer of this project comes through here.

A file is written under a hidden name that names its process, brought to the disk, and renamed; the folder is brought to
the disk as well, so that what is written after it was not there before it. Whatever goes wrong, the file that was there
stays, and the hidden one goes. Only a killed process leaves one behind, for `remove_leftovers`.
"""

import errno
import glob
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from manifests.errors import InputError, WorkFailed
from manifests.files.names import LONGEST_WITHIN, within_another
from manifests.machine import may_pass

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NOT_SYNCED = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}  # folders of some network file systems
LEFTOVERS = ".*.tmp*"
_OF_ONE = re.compile(r"\d+-[0-9a-f]{32}\.tmp.*", re.DOTALL)  # what follows on the file's own name
_QUOTED = re.compile(r"\(os error (\d+)\)")  # how safetensors tells what the system said
_WRITTEN_IN_PART = re.compile(r"\d+ requested and \d+ written")  # how numpy tells that no more went onto the disk


@contextmanager
def whole_path(target: Path, keep: Path | None = None, *, durable: bool = True) -> Iterator[Path]:
    """A path to write to, for libraries that open files themselves; it becomes `target` when the block ends well.

    It has the suffix of `target`, and is an empty file already. A `target` that was there before becomes `keep`; a kill
    between the two renamings leaves `keep` alone. Not `durable`: a machine that loses power may lose it, which suits
    many small files whose writer compares them with what they should be. InputError when `target` is a folder, or lies
    where nothing can be written, WorkFailed when the disk is full.
    """
    hidden = _hidden(target)
    mode = hidden.stat().st_mode
    try:
        with told(target):
            yield hidden
            hidden.chmod(mode)  # safetensors leaves files that only their owner can read
            if durable:
                _sync(hidden)
            if keep is not None and target.exists():
                os.replace(target, keep)
            if target.is_dir():
                raise InputError(f"{target} is a folder, where a file is to be written. Take it away.")
            os.replace(hidden, target)
            if durable:
                _sync_folder(target.parent)
    finally:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)


@contextmanager
def whole_file(target: Path, keep: Path | None = None) -> Iterator[BinaryIO]:
    """A binary handle whose content appears under `target` when the block ends well. Otherwise as `whole_path`."""
    with whole_path(target, keep) as hidden, open(hidden, "wb") as handle:
        yield handle


def write_if_other(target: Path, content: bytes) -> None:
    """Write a file in one piece unless this content is there already; not durable. Raises as `whole_path`."""
    if target.is_file() and target.read_bytes() == content:
        return
    with whole_path(target, durable=False) as hidden, open(hidden, "wb") as handle:
        handle.write(content)


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file in one piece. Raises as `whole_path`."""
    with whole_file(target) as handle:
        handle.write(content)


def write_text(target: Path, text: str) -> None:
    """Write a file in one piece, as UTF-8; a file's name in it keeps its bytes, whatever they are. As `whole_path`."""
    write_bytes(target, text.encode("utf-8", "surrogateescape"))


def publish_folder(filled: Path, target: Path) -> None:
    """Rename a folder that was filled beside `target`, in place of an older one, which comes back if that fails."""
    replaced = target.with_name(f".{target.name}.replaced")
    remove(replaced)
    for path in filled.rglob("*"):
        if path.is_file():
            _sync(path)
    there = target.exists()
    if there:
        os.rename(target, replaced)
    try:
        os.rename(filled, target)
    except BaseException:
        if there:
            os.rename(replaced, target)
        raise
    _sync_folder(target.parent)
    remove(replaced)


def remove(path: Path) -> None:
    """A folder with all in it, or a file, or a link and not what it leads to; where that cannot be, it stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left behind in `folder`. Only for a folder in which nobody else writes now."""
    for path in folder.glob(LEFTOVERS):
        path.unlink(missing_ok=True)


def remove_leftovers_of(target: Path) -> None:
    """Delete what killed writers of this one file left beside it. Only while nobody else writes it."""
    for path in target.parent.glob(f".{glob.escape(within_another(target.name))}.*.tmp*"):
        if _OF_ONE.fullmatch(path.name.removeprefix(f".{within_another(target.name)}.")):
            path.unlink(missing_ok=True)


def _hidden(target: Path) -> Path:
    """A new, empty file beside `target`."""
    own, suffix = within_another(target.name), target.suffix[:LONGEST_WITHIN]
    hidden = target.with_name(f".{own}.{os.getpid()}-{uuid.uuid4().hex}.tmp{suffix}")
    try:
        hidden.touch(exist_ok=False)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise _full(target, error.errno) from error
        if may_pass(error):
            raise
        raise InputError(
            f"{target} cannot be written: {error.strerror}. Name a place in a folder that exists and can be written."
        ) from error
    return hidden


@contextmanager
def told(target: Path) -> Iterator[None]:
    """A full disk while `target` is written: WorkFailed. Every other error as it is."""
    try:
        yield
    except (InputError, WorkFailed):
        raise
    except Exception as error:
        if (code := _system_error(error)) in NO_ROOM:
            raise _full(target, code) from error
        raise


def _full(target: Path, code: int) -> WorkFailed:
    return WorkFailed(f"{target} cannot be written: {os.strerror(code)}. To go on, free space and repeat the command.")


def _system_error(error: BaseException | None) -> int:
    """The number of the system's error behind this one: torch raises another in its place, safetensors quotes it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        if quoted := _QUOTED.search(str(error)):
            return int(quoted[1])
        if _WRITTEN_IN_PART.fullmatch(str(error)):
            return errno.ENOSPC
        error = error.__cause__ or error.__context__
    return 0


def _sync(path: Path) -> None:
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_SYNCED:
            raise
    finally:
        os.close(descriptor)
