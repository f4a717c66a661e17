"""Several seeds of one run from one line: `seeds=0..5` among the overrides stands for six runs, each its own folder."""

import re
from collections.abc import Iterable
from pathlib import Path

from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.files.given import has_file
from training.run_folders.files import COMMAND, DONE
from training.run_folders.names import configuration_of, seed_of, with_seed

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
    found = _numbers_in(text)
    if not found or len(set(found)) < len(found):
        raise InputError(
            f"seeds={text} does not say which seeds. Give a range with both ends in it, seeds=0..5, or a list without "
            f"repetition, seeds=1,4,9; at most {MOST}."
        )
    return found


def _numbers_in(text: str) -> list[int]:
    """The seeds of a range or a list; none in any other text."""
    if ends := _RANGE.fullmatch(text):
        first, last = map(int, ends.groups())
        return list(range(first, last + 1)) if last - first < MOST else []
    return [int(each) for each in text.split(",")] if _LIST.fullmatch(text) else []


def every_seed(path: Path) -> list[Path]:
    """The finished runs of a folder `runs/<name>` that differ by their seed alone; else the path as it was given."""
    finished = [folder / DONE for folder in path.glob("*-s*") if has_file(folder / DONE)]
    configurations = {configuration_of(marker.parent.name) for marker in finished}
    numbered = all(seed_of(marker.parent.name) is not None for marker in finished)
    return _by_seed(finished) if len(configurations) == 1 and numbered else [path]


def unfinished_seeds(path: Path) -> list[Path]:
    """The other runs of the configuration whose finished ones `every_seed(path)` gives: begun, or only asked for.

    A run was asked for where a command that started one of its seeds names several (`seeds=0..5`); one that was never
    begun stands for itself by the folder that it would have.
    """
    finished = every_seed(path)
    if finished == [path]:
        return []
    own = configuration_of(finished[0].name)
    markers = [marker for marker in path.glob("*-s*/config.yaml") if configuration_of(marker.parent.name) == own]
    there = each_once([*finished, *_by_seed(markers)])
    asked = {seed for folder in there for seed in _asked_with(folder)} - {seed_of(folder.name) for folder in there}
    never = [finished[0].with_name(with_seed(finished[0].name, seed)) for seed in sorted(asked)]
    return [*there[len(finished) :], *never]


def is_begun(run: Path) -> bool:
    """Whether there is anything of a run that `unfinished_seeds` gives."""
    return run.is_dir()


def _asked_with(run: Path) -> list[int]:
    """The seeds that the command which started a run names with `seeds=`; none where it names one, or is not kept."""
    words = read_content(run / COMMAND).text().split() if has_file(run / COMMAND) else []
    given = [word.removeprefix(_OPTION) for word in words if word.startswith(_OPTION)]
    return [seed for text in given for seed in _numbers_in(text)]


def _by_seed(markers: Iterable[Path]) -> list[Path]:
    """The folders that hold these files, by the seeds in their names."""
    return sorted((marker.parent for marker in markers), key=lambda folder: (seed_of(folder.name) or 0, folder.name))


def each_once(folders: Iterable[Path]) -> list[Path]:
    """Folders without repetition, however spelled: a run given twice would count as two seeds."""
    kept: dict[Path, Path] = {}
    for folder in folders:
        kept.setdefault(folder.resolve(), folder)
    return list(kept.values())
