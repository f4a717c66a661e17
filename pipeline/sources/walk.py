"""The walk over one source, here or on object storage: relative paths of its files, and nothing from outside of it.

`sources` makes clips of what it yields. Links that leave the tree and folders that cannot be listed become refusals;
names are data and pass unharmed, whatever bytes they hold.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.storage.remote import Place, RemotePath


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
    left_out = exclude.resolve() if isinstance(exclude, Path) else None
    paths = _walk(root, root.resolve(), left_out, refusals, others)
    return Tree(root, (str(path.relative_to(root)) for path in paths), lambda name: (root / name).stat().st_size)


def _walk(
    folder: Path, tree: Path, exclude: Path | None, refusals: list[Refusal], others: Counter[str]
) -> Iterator[Path]:
    """Files below `folder` in name order; links that leave `tree` become refusals."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError as error:
        problem = f"the folder cannot be listed: {error.strerror}"
        refusals.append(Refusal(readable(str(folder)), "unreadable", problem))
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() and (problem := _link_problem(path, tree)):
            refusals.append(Refusal(readable(entry.path), "refused", problem))
        elif entry.is_dir(follow_symlinks=False):
            if exclude is None or path.resolve() != exclude:
                yield from _walk(path, tree, exclude, refusals, others)
        elif entry.is_file():
            yield path
        else:
            others["(link to a folder of the tree)" if entry.is_dir() else "(special file)"] += 1


def _link_problem(path: Path, tree: Path) -> str | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    return None if target.is_relative_to(tree) else f"a link out of the source folder, to {readable(str(target))}"
