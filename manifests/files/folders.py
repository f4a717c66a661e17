"""The files of a folder that others made: found through links, whatever the case of their suffix, without litter.

What systems and downloads leave beside files (`manifests.files.suffixes.is_litter`) is none of the files looked for.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from manifests.errors import InputError
from manifests.files.given import check_lasting
from manifests.files.suffixes import is_litter


def every_file(root: Path, onerror: Callable[[OSError], None] | None = None, folders: bool = False) -> Iterator[Path]:
    """Every file at any depth, also in folders that links lead to: each folder once, by its own path where it lies
    below the root; with `folders` those themselves, too. A folder that cannot be read has none, unless `onerror`
    raises."""
    been: set[str] = set()
    waiting = [root]
    for start in waiting:
        for folder, inside, names in os.walk(start, onerror=onerror):
            real = os.path.realpath(folder)
            if real in been:
                inside.clear()
                continue
            been.add(real)
            inside.sort()
            yield from (Path(folder, name) for name in [*names, *(inside if folders else [])])
            waiting += [link for name in inside if (link := Path(folder, name)).is_symlink()]


def files_below(root: Path, suffixes: Collection[str]) -> list[Path]:
    """Every file of these suffixes (lower case) at any depth, in the order of their paths; none where no folder is.

    InputError when a folder in it cannot be read.
    """
    return _wanted(every_file(root, _refuse), root, suffixes)


def files_in(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """As `files_below`, of the folder alone and not of those in it."""
    return _wanted(_beside(folder), folder, suffixes)


def _wanted(paths: Iterable[Path], root: Path, suffixes: Collection[str]) -> list[Path]:
    if not root.is_dir():
        return []
    try:
        found = [path for path in paths if path.suffix.lower() in suffixes]
    except OSError as error:
        check_lasting(error.filename, error)
        raise InputError(f"{error.filename} cannot be read: {error.strerror}. Check who may read it.") from error
    return sorted(path for path in found if not is_litter(path.relative_to(root).as_posix()))


def by_key(files: Iterable[tuple[str, Path]], where: Path) -> dict[str, Path]:
    """Files by key, in the order given; `where` they were found. InputError for two files of one key."""
    found: dict[str, Path] = {}
    for key, path in files:
        if (other := found.setdefault(key, path)) is not path:
            raise InputError(f"{where} has two files of {key}: {other} and {path}. Keep one of the two.")
    return found


def _beside(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.iterdir() if not path.is_dir())


def _refuse(error: OSError) -> None:
    raise error
