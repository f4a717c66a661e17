"""Which files a list or an annotation means by the names in it: names come again from folder to folder.

A name is looked for from what gives it outward. `train/boxes.csv` means `train/0.jpg` by `0.jpg`; so does
`annotations/instances_train.json`, which holds none of its files beside it and is named for that folder. Once a folder
holds one of the names, all are of that folder: what is missing there is never taken from another. A name fits each file
whose path ends with all of it, and where it has no suffix (FSD50K), with any, however either is spelled
(`manifests.files.spelling`). Where several fit, nobody knows which is meant, and the caller refuses them.
"""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from manifests.files.spelling import as_on_disk, compared
from pipeline.compose.files import Rejection

Name = tuple[str, ...]  # a file's, with the folders that are given, outermost first
_BEFORE_FOLDER = re.compile(r"[_.\s-]")  # "instances_train2017" is of the folder train2017


def parts_of(text: str) -> Name:
    """The parts of a path as lists write it, with `/` or `\\`, as they are compared."""
    return PurePosixPath(compared(text.replace("\\", "/"))).parts


class NamedFiles:
    """The files below a folder, by the names that lists and annotations in it, or above it, give them.

    Paths are absolute and as they are compared; several files may then have one.
    """

    def __init__(self, root: Path, paths: Iterable[Path]) -> None:
        self._root, self._here = root, Path(compared(os.path.abspath(root)))
        self._files: dict[Path, list[Path]] = defaultdict(list)
        for path in paths:
            self._files[self._absolute(path)].append(path)
        self._without_suffix: dict[Path, list[Path]] = defaultdict(list)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in self._files:
            self._without_suffix[path.with_suffix("")].append(path)
            self._by_name[path.name].append(path)
            self._by_stem[path.stem].append(path)
        holding = {path.parent for path in self._files}
        self._folders = {each for folder in holding for each in (folder, *folder.parents) if self._here in each.parents}

    def meant(self, names: Iterable[Name], giver: Path) -> dict[Name, list[Path]]:
        """The files that each name in `giver` fits, as they were given; none, one or several."""
        above = Path(compared(str(giver.parent)))
        own = self._absolute(giver.parent) if giver.is_relative_to(self._root) else above
        names = list(dict.fromkeys(names))
        wanted = [name for name in names if name and not self._is_of_another(own, name)]
        found = {name: self._in(own, name) for name in wanted}
        if not any(found.values()):
            named_for = self._named_for(giver)
            found = {name: [path for folder in named_for for path in self._in(folder, name)] for name in wanted}
        if not any(found.values()):
            found = {name: self._in(self._here, name) or self._in(Path(self._here.anchor), name) for name in wanted}
        return {name: [each for path in found.get(name, ()) for each in self._files[path]] for name in names}

    def _absolute(self, path: Path) -> Path:
        return self._here / compared(str(path.relative_to(self._root)))

    def _is_of_another(self, own: Path, name: Name) -> bool:
        """Whether a list above means a file outside of the folder, and none of its name here."""
        if own not in self._here.parents or name[-1] not in self._by_name:
            return False
        place = _place(own, name)
        return place not in self._files and as_on_disk(place).is_file()

    def _named_for(self, giver: Path) -> list[Path]:
        """The folders that a list is named for, outermost alone."""
        stem = compared(giver.stem).casefold()
        endings = {stem, *(stem[match.end() :] for match in _BEFORE_FOLDER.finditer(stem))}
        folders = {folder for folder in self._folders if folder.name.casefold() in endings}
        return sorted(folder for folder in folders if not folders.intersection(folder.parents))

    def _in(self, folder: Path, name: Name) -> list[Path]:
        """The files below a folder that a name fits: the one at that place, else those at any depth."""
        place = _place(folder, name)
        if place in self._files:
            return [place]
        if there := self._without_suffix.get(place):
            return there
        named = [path for path in self._by_name.get(name[-1], ()) if _ends_with(path, folder, name)]
        return named or [path for path in self._by_stem.get(name[-1], ()) if _ends_with(path, folder, name)]


def _place(folder: Path, name: Name) -> Path:
    return Path(os.path.normpath(folder.joinpath(*name)))


def _ends_with(path: Path, folder: Path, name: Name) -> bool:
    """Whether a file lies below a folder and its path from there, without its suffix or with it, ends with a name."""
    if not path.is_relative_to(folder):
        return False
    parts = path.relative_to(folder).parts
    return len(parts) >= len(name) and parts[-len(name) : -1] == name[:-1]


@dataclass(frozen=True)
class Unclear:
    """A name in a list or an annotation that several files fit."""

    name: Name
    giver: Path
    fitting: Sequence[Path]

    def rejections(self, stage: str, known: Collection[Path]) -> tuple[dict[Path, Rejection], list[Rejection]]:
        """The files that it leaves out, as nothing else is known of them; where there are none, the name alone."""
        named, some = "/".join(self.name), ", ".join(map(str, self.fitting[:3]))
        said = f"{self.giver} names {named}, and {len(self.fitting)} files fit: {some}"
        said += ", ..." if len(self.fitting) > 3 else ""
        files = {p: Rejection(str(p), stage, "several_fit", said) for p in self.fitting if p not in known}
        return files, [] if files else [Rejection(named, stage, "several_fit", said)]
