"""The walk over one source, here or on object storage: relative paths of its files, and nothing from outside of it.

`sources` makes clips of what it yields. Links that leave the tree and folders that cannot be listed become refusals;
names are data and pass unharmed, whatever bytes they hold.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from manifests.files.given import reason, special_file
from manifests.files.suffixes import MEDIA_SUFFIXES
from manifests.machine import is_machines_fault
from pipeline.storage.remote import Place, RemotePath

FOLDER, FILE = "folder", "file"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input that never reaches a decoder: reject row `reason` (a `pipeline.shards.record.REASONS`) and what was
    seen.
    """

    path: str
    reason: str
    message: str


def readable(path: str) -> str:
    """A path as printable UTF-8: bad bytes and control characters are shown as backslash escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


@contextmanager
def or_refused(refusals: list[Refusal], relative: str) -> Iterator[None]:
    """A file that cannot be looked at (it is gone, or its folder may not be searched) becomes a refusal."""
    try:
        yield
    except OSError as error:
        if is_machines_fault(error):
            raise
        problem = f"it cannot be looked at: {error.strerror or reason(error)}"
        refusals.append(Refusal(readable(relative), "unreadable", problem))


@dataclass(frozen=True)
class Tree:
    """A source's files, by path relative to `root`, and how to learn a file's size."""

    root: Place
    files: Iterable[str]
    size_of: Callable[[str], int]


def tree_of(root: Place, exclude: Place | None, refusals: list[Refusal], others: Counter[str]) -> Tree:
    """Everything below a source but the folder `exclude`; what the walk must not follow is added to the two tallies."""
    if isinstance(root, RemotePath):
        sizes = root.walk()
        inside = f"{exclude}/" if isinstance(exclude, RemotePath) else None
        return Tree(
            root, [name for name in sizes if not inside or not f"{root / name}".startswith(inside)], sizes.__getitem__
        )
    left_out = _same(exclude) if isinstance(exclude, Path) else None
    paths = _walk(root, left_out, refusals, others)
    return Tree(root, (os.path.relpath(path, root) for path in paths), lambda name: (root / name).stat().st_size)


def _same(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from all others, whatever path leads there; None of one that is not there."""
    try:
        facts = folder.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _walk(root: Path, exclude: tuple[int, int] | None, refusals: list[Refusal], others: Counter[str]) -> Iterator[str]:
    """Files below `root` in name order; links that leave it, and what cannot be looked at, become refusals.

    The folders entered are held in a list, not in calls within calls: a tree may be deeper than python's stack.
    """
    tree, entered = root.resolve(), [_listed(str(root), refusals)]
    while entered:
        if (entry := next(entered[-1], None)) is None:
            entered.pop()
            continue
        kind, problem = _looked_at(entry, tree)
        if problem is not None:
            refusals.append(Refusal(readable(entry.path), kind, problem))
        elif kind == FOLDER and (exclude is None or exclude != _same(Path(entry.path))):
            entered.append(_listed(str(Path(entry.path)), refusals))
        elif kind == FILE:
            yield entry.path
        elif kind != FOLDER:
            others[kind] += 1


def _looked_at(entry: "os.DirEntry[str]", tree: Path) -> tuple[str, str | None]:
    """FOLDER, FILE or what else an entry is; with a problem, the reason code of its refusal.

    A pipe or socket is refused where a clip would be; any other is counted, as files that are no media are.
    """
    try:
        if entry.is_symlink() and (problem := _link_problem(Path(entry.path), tree)):
            return "refused", problem
        if entry.is_dir(follow_symlinks=False):
            return FOLDER, None
        if entry.is_file():
            return FILE, None
        if entry.is_dir():
            return "(link to a folder of the tree)", None
        is_named_as_clip = Path(entry.name).suffix.lower() in MEDIA_SUFFIXES
        return ("refused", special_file(entry.path)) if is_named_as_clip else ("(special file)", None)
    except OSError as error:
        if is_machines_fault(error):
            raise
        return "unreadable", f"it cannot be looked at: {error.strerror}"


def _listed(folder: str, refusals: list[Refusal]) -> Iterator["os.DirEntry[str]"]:
    """What is in a folder, in name order; nothing, and a refusal, where that cannot be seen."""
    try:
        with os.scandir(folder) as found:
            return iter(sorted(found, key=lambda entry: entry.name))
    except OSError as error:
        if is_machines_fault(error):
            raise
        refusals.append(Refusal(readable(folder), "unreadable", f"the folder cannot be listed: {error.strerror}"))
        return iter(())


def _link_problem(path: Path, tree: Path) -> str | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    return None if target.is_relative_to(tree) else f"a link out of the source folder, to {readable(str(target))}"
