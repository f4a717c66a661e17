"""The corpora and lists this project knows by name: one small YAML in `lists/` for each.

A YAML says what a list is for (`role`: train, test, a part of a test set, negatives, corpus), where it was released,
under which file names it is found, its format, how many clips it names and the hash of its content. A list that was
released in several forms has the hash of its sorted keys as well. The lists themselves are the users' to download. Two
different lists go by the name vggss_144k.txt, hence the hash.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.files.folders import every_file
from manifests.files.given import has_file
from manifests.splits import IdList, ids_of, read_ids
from manifests.test_sets import Truth
from manifests.truth import formats, read_truth

LISTS = Path(__file__).parent / "lists"
ROLES = ("train", "test", "part", "negatives", "corpus")


@dataclass(frozen=True)
class ReleasedList:
    """What is known of a list; `sha256` is that of the uncompressed file."""

    name: str
    role: str
    source: str
    licence: str
    format: str
    files: tuple[str, ...]
    clips: int
    sha256: str
    note: str
    keys_sha256: str = ""

    def is_released(self, ids: IdList) -> bool:
        """Whether a list has the released content, in whichever form."""
        return (_keys_sha256(ids) == self.keys_sha256) if self.keys_sha256 else ids.sha256 == self.sha256


def _keys_sha256(ids: IdList) -> str:
    return hashlib.sha256("\n".join(sorted(ids.ids)).encode()).hexdigest()


@cache
def catalogue() -> dict[str, ReleasedList]:
    """Every packaged manifest by name."""
    found = {}
    for path in sorted(LISTS.glob("*.yaml")):
        content = read_content(path).yaml()
        found[path.stem] = ReleasedList(**content | {"files": tuple(content["files"])})
    return found


def locate(manifest: ReleasedList, folders: Iterable[Path]) -> Path | None:
    """The list's file, plain or gzipped, at any depth of the folders; the released content before one of equal name.

    InputError where only what is no file has its name: a link that leads nowhere is no list that is not there.
    """
    wanted = {name for file in manifest.files for name in (file, f"{file}.gz")}
    there = [path for folder in folders for path in sorted(every_file(folder, folders=True)) if path.name in wanted]
    named = [path for path in there if path.is_file()] or [path for path in there if has_file(path)]
    released = (path for path in named if read_content(path).sha256 == manifest.sha256)
    return next(released, named[0] if named else None)


def read_listed(manifest: ReleasedList, path: Path) -> IdList:
    """The list under its manifest's name; another content than the released one shows in the name."""
    if video_of_frames(manifest.format):
        ids = replace(clips_of(read_truth(path, manifest.format)), name=manifest.name, source=str(path))
    else:
        ids = read_ids(path, name=manifest.name)
    return ids if manifest.is_released(ids) else replace(ids, name=f"{path.name} (not the released {manifest.name})")


def read_clips(path: Path | str) -> IdList:
    """A list of any layout, called as the catalogue calls it where its content is a released list's."""
    ids = read_ids(path)
    names = (manifest.name for manifest in catalogue().values() if manifest.is_released(ids))
    return replace(ids, name=next(names, ids.name))


def clips_of(truth: Truth) -> IdList:
    """The clips of an annotated set; where frames are annotated, the whole videos that they are of."""
    listed, video_of = ids_of(truth.test_set), video_of_frames(truth.format)
    if video_of is None:
        return listed
    return replace(listed, ids=tuple(dict.fromkeys(map(video_of, listed.ids))), places={}, of_videos=True)


def video_of_frames(format: str) -> Callable[[str], str] | None:
    """What gives the video of a key in a format that annotates frames; None in others."""
    found = formats().get(format)  # of a bare list there is none
    return found.video_of if found else None


def resolve(given: str, folders: Iterable[Path]) -> IdList | None:
    """A list by path, or by packaged name from the folders; None when the named one is not there.

    InputError when `given` is neither a file nor a known name.
    """
    if Path(given).is_file():
        return read_ids(given)
    if given not in catalogue():
        has_file(given)
        raise InputError(
            f"{given!r} is neither a file nor a known list.{did_you_mean(given, catalogue())} The known ones are "
            f"{', '.join(catalogue())}."
        )
    manifest = catalogue()[given]
    path = locate(manifest, folders)
    return None if path is None else read_listed(manifest, path)


def find_list(given: str, folder: Path) -> IdList:
    """A list to work on, by path or by packaged name from a folder. InputError when there is none, with its source."""
    found = resolve(given, (folder,) if folder.is_dir() else ())
    if found is None:
        manifest = catalogue()[given]
        raise InputError(
            f"the list {given} is not under {folder}: its file is called {' or '.join(manifest.files)}. Get it from "
            f"{manifest.source}, or give a file of clip ids."
        )
    return found


def known_tests(folders: Iterable[Path]) -> list[IdList]:
    """Every test set of the catalogue whose file is in the folders."""
    folders = tuple(folders)
    tests = [manifest for manifest in catalogue().values() if manifest.role == "test"]
    located = [(manifest, locate(manifest, folders)) for manifest in tests]
    return [read_listed(manifest, path) for manifest, path in located if path is not None]
