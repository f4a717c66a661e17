"""Lists of clips and what they have to do with one another: overlap of training with test, coverage of what is there.

Released lists come in a dozen layouts: bare ids, ids with .jpg, .wav or .mp4, whole paths, millisecond names, one to
four csv columns, JSON annotations, pairs. `read_ids` takes them all and gives canonical keys, so that "vggss_144k
contains 3,709 of the 5,158 test clips" is one intersection.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from manifests.annotations import TestSet
from manifests.content import Content, read_content
from manifests.errors import InputError
from manifests.keys import parse_clip_name

_MEDIA = re.compile(r"(\.(jpg|jpeg|png|wav|mp3|mp4|mkv|webm|flac|mat|pkl))+$", re.IGNORECASE)
_HEADERS = {"video", "video_id", "ytid", "youtube_id", "id", "file", "key"}
_SPLITS = {"train", "val", "valid", "validation", "test"}


@dataclass(frozen=True)
class IdList:
    """A named list of distinct clip keys in file order; `repeated` rows named a clip that was already there."""

    name: str
    ids: tuple[str, ...]
    source: str
    sha256: str
    repeated: int = 0


@dataclass(frozen=True)
class Overlap:
    """What two lists share: `clips` by key, `videos` counts source videos of the test list that training also saw."""

    train: str
    test: str
    clips: tuple[str, ...]
    n_train: int
    n_test: int
    videos: int

    def __str__(self) -> str:
        share = 100 * len(self.clips) / self.n_test
        return f"{self.train} contains {len(self.clips):,} of the {self.n_test:,} clips of {self.test} ({share:.1f} %)"


@dataclass(frozen=True)
class Coverage:
    """A list against the clips at hand: `found` and `missing` in list order."""

    name: str
    found: tuple[str, ...]
    missing: tuple[str, ...]


def read_ids(path: Path | str, name: str | None = None, split: str | None = None) -> IdList:
    """Read a clip list of any released layout. `split` keeps the rows of that split of a 4-column vggsound.csv.

    InputError when nothing is left, or `split` is asked of a list that has no split column.
    """
    content = read_content(path)
    names = list(_names(content, split))
    ids = tuple(dict.fromkeys(parse_clip_name(each).key for each in names))
    if not ids:
        raise InputError(f"{path} names no clip{f' of split {split}' if split else ''}. Give a list of clip ids.")
    stem = PurePosixPath(content.path.name.removesuffix(".gz")).stem
    return IdList(name or stem, ids, str(path), content.sha256, len(names) - len(ids))


def ids_of(test_set: TestSet) -> IdList:
    """The clips of an annotated set as a list."""
    return IdList(test_set.name, test_set.keys, test_set.source, test_set.sha256)


def overlap(train: IdList, test: IdList) -> Overlap:
    """Clips of `test` that `train` contains, and how many of its source videos."""
    known = set(train.ids)
    clips = tuple(key for key in test.ids if key in known)
    videos = {_video(key) for key in train.ids} & {_video(key) for key in test.ids}
    return Overlap(train.name, test.name, clips, len(train.ids), len(test.ids), len(videos))


def without(train: IdList, *tests: IdList) -> IdList:
    """`train` with every clip of the test lists left out: the leak-free list, with a name and hash of its own."""
    banned = {key for test in tests for key in test.ids}
    ids = tuple(key for key in train.ids if key not in banned)
    name = f"{train.name}-without-{'-'.join(test.name for test in tests)}"
    return IdList(name, ids, train.source, _hash(ids))


def coverage(wanted: IdList, present: Collection[str]) -> Coverage:
    """Which clips of a list are among `present` keys."""
    known = set(present)
    found = tuple(key for key in wanted.ids if key in known)
    return Coverage(wanted.name, found, tuple(key for key in wanted.ids if key not in known))


def restrict(test_set: TestSet, wanted: IdList) -> TestSet:
    """The annotated clips of a list, in list order, as a set named after both: "vggss-vggss_heard_test".

    Heard and unheard mean different classes in different papers, so the list's name stays with every result.
    InputError names clips that have no annotation.
    """
    by_key = {annotation.key: annotation for annotation in test_set.annotations}
    absent = [key for key in wanted.ids if key not in by_key]
    if absent:
        raise InputError(
            f"{len(absent)} of the {len(wanted.ids)} clips of {wanted.source} are not annotated in {test_set.source}, "
            f"first {absent[0]}. Give the annotations this list was made for."
        )
    chosen = tuple(by_key[key] for key in wanted.ids)
    digest = _hash((test_set.sha256, wanted.sha256))
    return TestSet(f"{test_set.name}-{wanted.name}", chosen, f"{test_set.source} + {wanted.source}", digest)


def _names(content: Content, split: str | None) -> Iterator[str]:
    text = content.text()
    if text.lstrip().startswith(("[", "{")):
        if split is not None:
            raise InputError(f"{content.path} is JSON without a split column, so split {split} cannot be chosen.")
        yield from _json_names(content.json(), content)
        return
    if "&" in text.partition("\n")[0]:
        rows = ([line.split("&")[1]] for line in text.splitlines() if line.count("&") == 4)
    else:
        rows = content.rows()
    for number, row in enumerate(rows):
        if not row[0].strip() or (number == 0 and row[0].strip().lower() in _HEADERS):
            continue
        if split is not None and not _has_split(row):
            raise InputError(f"{content.path} has no split column (row {row}), so split {split} cannot be chosen.")
        if split is None or row[-1].strip() == split:
            yield _name(row)


def _name(row: list[str]) -> str:
    """The clip a row names: `ytid,start,label,split` joins the first two, all else is the first column's file stem."""
    if _has_split(row):
        return f"{row[0].strip()}_{int(float(row[1])):06d}"
    return _stem(row[0].split()[0])


def _stem(path: str) -> str:
    return _MEDIA.sub("", PurePosixPath(path).name)


def _has_split(row: list[str]) -> bool:
    return len(row) >= 4 and row[-1].strip() in _SPLITS and row[1].strip().replace(".", "", 1).isdigit()


def _json_names(entries: Any, content: Content) -> Iterable[str]:
    """Names of a JSON list of clips; the keys of an object (MUSIC frames) are whole names already."""
    if isinstance(entries, dict):
        return list(entries)
    names = [entry.get("file", entry.get("image")) if isinstance(entry, dict) else entry for entry in entries]
    if not all(isinstance(name, str) for name in names):
        raise InputError(f'{content.path} has entries without "file" or "image". Give a list of clips.')
    return [_stem(name) for name in names]


def _video(key: str) -> str:
    return parse_clip_name(key).source_id


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
