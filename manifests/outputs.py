"""What a command may write over: nothing that it reads, and no file but one that it wrote itself before.

Every command with an output asks `check_output` before it begins to work. Which existing files are a command's own is
seen by their content, never by their name.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from manifests.errors import InputError

Given = Path | str | Iterable[Path | str] | None


def check_output(
    out: Path, inputs: Mapping[str, Given], is_own: Callable[[Path], bool], command: str, option: str = "--out"
) -> None:
    """InputError when `out` is one of the `inputs` (by option), through any link, or is there and not the command's."""
    for name, given in inputs.items():
        for path in _paths(given):
            if _is_same(out, path):
                raise InputError(
                    f"{option} {out} is what {name} names ({path}), which would be overwritten. Choose another name."
                )
    if out.exists() and not is_own(out):
        raise InputError(
            f"{option} {out} is there already and was not written by `{command}`, so it is not overwritten. Choose "
            "another name, or move it away."
        )


def json_with(*names: str) -> Callable[[Path], bool]:
    """Whether a file holds a JSON object with these names: how commands know their own documents."""

    def is_own(path: Path) -> bool:
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(content, dict) and all(name in content for name in names)

    return is_own


def _paths(given: Given) -> list[Path]:
    if given is None:
        return []
    return [Path(given)] if isinstance(given, Path | str) else [Path(one) for one in given]


def _is_same(out: Path, path: Path) -> bool:
    with suppress(OSError, ValueError):
        return out.samefile(path) or out.resolve() == path.resolve()
    return False
