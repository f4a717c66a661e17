"""What one command at a time writes: folders that a reader meets as the old one or the new one, and files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manifests.files.locks import held_from_beside
from manifests.files.whole import publish_folder, remove, remove_leftovers_of, told


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


@contextmanager
def alone_at(target: Path, *beside: Path) -> Iterator[None]:
    """Hold a file that is written for long, and those `beside` it, of which killed commands leave nothing then.

    InputError when it is being written by another command.
    """
    with held_from_beside(target):
        for path in (target, *beside):
            remove_leftovers_of(path.absolute())
        yield
