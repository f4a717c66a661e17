"""Folders that a command writes whole: a reader meets the old one or the new one, never half of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manifests.files.locks import held_from_beside
from manifests.files.whole import publish_folder, remove, told


@contextmanager
def whole_folder(target: Path, *, resumed: bool = False) -> Iterator[Path]:
    """A folder to fill, beside `target`; when the block ends well it becomes `target`, in place of an older one.

    Nothing is written through a link that somebody has put in its place.

    It is empty, unless `resumed`: then what an interrupted command left in it is still there, and what this one has
    written stays when it fails. InputError when `target` cannot be written, or is being written by another command;
    WorkFailed when the disk is full.
    """
    partial = target.absolute().with_name(f".{target.absolute().name}.partial")
    with held_from_beside(target):
        if not resumed or partial.is_symlink():
            remove(partial)
        partial.mkdir(parents=True, exist_ok=resumed)
        try:
            with told(target):
                yield partial
                publish_folder(partial, target)
        finally:
            if not resumed:
                remove(partial)
