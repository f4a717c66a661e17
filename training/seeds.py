"""Several seeds of one run from one line: `seeds=0..5` among the overrides stands for six runs, each its own folder."""

import re
from collections.abc import Iterable
from pathlib import Path

from manifests.errors import InputError
from training.run_names import configuration_of

_OPTION = "seeds="
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_LIST = re.compile(r"\d+(,\d+)*")
MOST = 100


def per_seed(overrides: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The overrides of each run, in the order of seeds; those given where no `seeds=` is among them.

    `seeds=0..5` has both ends in it, `seeds=1,4,9` names each. InputError for anything else, or beside `seed=`.
    """
    asked = [each for each in overrides if each.startswith(_OPTION)]
    if not asked:
        return [overrides]
    others = tuple(each for each in overrides if not each.startswith(_OPTION))
    if len(asked) > 1 or any(each.startswith("seed=") for each in others):
        raise InputError(f"The seeds are given more than once: {' '.join(asked)}. Give seeds=0..5, or seed=0, once.")
    return [(*others, f"seed={seed}") for seed in _numbers(asked[0].removeprefix(_OPTION))]


def _numbers(text: str) -> list[int]:
    ends = _RANGE.fullmatch(text)
    if ends:
        first, last = map(int, ends.groups())
        found = list(range(first, last + 1)) if last - first < MOST else []
    else:
        found = [int(each) for each in text.split(",")] if _LIST.fullmatch(text) else []
    if not found or len(set(found)) < len(found):
        raise InputError(
            f"seeds={text} does not say which seeds. Give a range with both ends in it, seeds=0..5, or a list without "
            f"repetition, seeds=1,4,9; at most {MOST}."
        )
    return found


def every_seed(path: Path) -> list[Path]:
    """The finished runs of a folder `runs/<name>` that differ by their seed alone; else the path as it was given."""
    finished = sorted(marker.parent for marker in path.glob("*-s*/DONE")) if path.is_dir() else []
    configurations = {configuration_of(folder.name) for folder in finished}
    numbered = all(folder.name.rpartition("-s")[2].isdigit() for folder in finished)
    if len(configurations) != 1 or not numbered:
        return [path]
    return sorted(finished, key=lambda folder: int(folder.name.rpartition("-s")[2]))


def each_once(folders: Iterable[Path]) -> list[Path]:
    """Folders without repetition, however spelled: a run given twice would count as two seeds."""
    kept: dict[Path, Path] = {}
    for folder in folders:
        kept.setdefault(folder.resolve(), folder)
    return list(kept.values())
