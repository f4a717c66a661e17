"""What a command may write over: nothing that it reads, and no file but one that it wrote itself before.

Every command line compares its output with all that it is told to read before the command begins
(`pipeline.console`), and a command asks `check_output` about what nobody typed. Which existing files are a command's
own is seen by their content, never by their name.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from manifests.errors import InputError
from manifests.files.given import kind_of_special, read_bytes, reason

Given = Path | str | Iterable[Path | str] | None


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
