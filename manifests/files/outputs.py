"""What a command may write over: nothing that it reads, and no file but one that it wrote itself before.

Every command line compares its output with all that it is told to read before the command begins
(`pipeline.console`), and a command asks `check_output` about what nobody typed. Which existing files are a command's
own is seen by their content, never by their name. A folder is one kind of thing: what another command made, or somebody
else, gets no shards, runs or pages among it.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from manifests.errors import InputError
from manifests.files.given import kind_of_special, read_bytes, reason
from manifests.files.suffixes import is_of_system

# Names that a folder of each kind has, once it is finished or from its beginning.
KINDS: Mapping[str, tuple[frozenset[str], ...]] = {
    "shards": (frozenset({"index.json", "manifest.parquet"}), frozenset({"plan"})),
    "embeddings or neighbours": (frozenset({"keys.parquet", "meta.json"}),),
    "a made corpus": (frozenset({"options.json"}),),
    "a run": (frozenset({"config.yaml", "environment.json"}),),
    "an exported model": (frozenset({"config.json", "model.safetensors"}),),
    "exported clips": (frozenset({"export.json"}),),
}
SHOWN = 3  # names of what a folder holds
Given = Path | str | Iterable[Path | str] | None


class Listed(Protocol):
    """A folder on a disk or in a storage, as far as it is looked at."""

    def is_dir(self) -> bool: ...

    def iterdir(self) -> Iterable[Any]: ...


def check_output(
    out: Path, inputs: Mapping[str, Given], is_own: Callable[[Path], bool], command: str, option: str = "--out"
) -> None:
    """InputError when `out` is one of the `inputs` (by option), through any link, or is there and not the command's."""
    check_not_read(out, inputs, option)
    if out.exists() and not is_own(out):
        raise InputError(
            f"{option} {out} is there already and was not written by `{command}`, so it is not overwritten. Choose "
            "another name, or move it away."
        )


def check_folder(out: Listed, is_own: Callable[[frozenset[str]], bool], command: str, option: str = "--out") -> None:
    """InputError when a folder that a command adds to is there and holds what is not the command's own, by the names
    in it; what the system leaves in folders counts for nothing."""
    names = names_in(out)
    if names and not is_own(names):
        rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        held = kind_of_folder(names) or f"{', '.join(sorted(names)[:SHOWN])}{rest}"
        raise InputError(
            f"{option} {out} holds {held}, and nothing that `{command}` wrote, so nothing is written among it. Choose "
            "a new or an empty folder."
        )


def check_no_other_kind(out: Path, command: str, option: str = "--out") -> None:
    """InputError when a folder that may hold anything is itself what another command made."""
    check_folder(out, lambda names: kind_of_folder(names) is None, command, option)


def kind_of_folder(names: Collection[str]) -> str | None:
    """What a folder of these names is, in words; None of what no command makes."""
    return next((kind for kind, marks in KINDS.items() if any(mark <= set(names) for mark in marks)), None)


def names_in(folder: Listed) -> frozenset[str]:
    """What lies directly in a folder, without notes of the system; nothing where there is none. A file is refused by
    whoever writes."""
    if not folder.is_dir():
        return frozenset()
    return frozenset(path.name for path in folder.iterdir() if not is_of_system(path.name))


def check_not_read(out: Path, inputs: Mapping[str, Given], option: str = "--out") -> None:
    """InputError when `out` is one of the `inputs` (by option), through any link, or is neither file nor folder."""
    for name, given in inputs.items():
        for path in _paths(given):
            if _is_same(out, path):
                raise InputError(
                    f"{option} {out} is what {name} names ({path}), which would be overwritten. Choose another name."
                )
    try:
        kind = kind_of_special(os.stat(out))
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise InputError(f"{option} {out} is a name that cannot be used: {reason(error)}. Choose another.") from error
    if kind:
        raise InputError(f"{option} {out} is {kind}, in which nothing can be kept. Choose another name.")


def check_writable(out: Path) -> None:
    """InputError when `out` would have to be made where this user may make nothing; before the work, not after it."""
    if os.path.lexists(out):
        return
    folder = next((each for each in out.absolute().parents if os.path.lexists(each)), Path("/"))
    if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise InputError(
            f"--out {out} cannot be written: Permission denied in {folder}. Name a place in a folder that can be "
            "written."
        )


def json_with(*names: str) -> Callable[[Path], bool]:
    """Whether a file holds a JSON object with these names: how commands know their own documents."""

    def is_own(path: Path) -> bool:
        try:
            content = json.loads(read_bytes(path))
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(content, dict) and all(name in content for name in names)

    return is_own


def _paths(given: Given) -> list[Path]:
    if given is None:
        return []
    return [Path(given)] if isinstance(given, Path | str) else [Path(one) for one in given]


def _is_same(out: Path, path: Path) -> bool:
    """The same name, or the same file or folder under another; a place of a storage has a name alone."""
    with suppress(OSError, ValueError, RuntimeError):
        if out.resolve() == path.resolve():
            return True
    with suppress(OSError, ValueError):
        return out.samefile(path)
    return False
