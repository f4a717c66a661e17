"""Lists of clips and what they have to do with one another: overlap of training with test, coverage of what is there.

Released lists come in a dozen layouts: bare ids, ids with .jpg, .wav or .mp4, whole paths, millisecond names, one to
four csv columns, JSON annotations, pairs. `read_ids` takes them all and gives keys, so that "vggss_144k contains 3,709
of the 5,158 test clips" is one intersection.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path, PurePosixPath

from manifests.annotations import TestSet
from manifests.clip_lists.layouts import read_clip_list
from manifests.clip_lists.rows import WHOLE_VIDEO, ClipLabel, ClipList, normal_split
from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.keys import named_clip
from manifests.namesakes import Names, Place

TRAIN = "train"


def split_of(named: str | None) -> str:
    """The split of a clip by what its list or folder names, `training` being `train`: one that names none is a training
    clip, for all stages."""
    return normal_split(named) or TRAIN


@dataclass(frozen=True)
class IdList:
    """A named list of distinct clip keys in file order; `repeated` rows named a clip that was already there. `places`
    has folders and name of the keys that the list names in folders (`manifests.namesakes`). `of_videos`: the keys are
    those of whole videos, and mean every clip of them; so do MUSIC's, which say it by their end."""

    name: str
    ids: tuple[str, ...]
    source: str
    sha256: str
    repeated: int = 0
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    of_videos: bool = False

    @property
    def names(self) -> Names:
        """The ids with their folders."""
        return Names(self.ids, self.places, self.source)

    def known_as(self, present: Collection[str]) -> "IdList":
        """The list in the names that `present` clips have (`manifests.namesakes`), a whole video by all clips of it.
        InputError for a name that several clips could have."""
        found, clips = self.names.among(present), self._clips_of_videos(present)
        if not found and not clips and not self.places:
            return self
        named = (clips.get(key) or [found.get(key, key)] for key in self.ids)
        return replace(self, ids=tuple(dict.fromkeys(chain.from_iterable(named))), places={})

    def _clips_of_videos(self, present: Collection[str]) -> dict[str, list[str]]:
        """The clips of each whole video, by its key here; videos without any are left out."""
        videos = {video_of_clip(key): key for key in self.ids if self.of_videos or key.endswith(WHOLE_VIDEO)}
        found: dict[str, list[str]] = defaultdict(list)
        for key in sorted(present) if videos else ():
            if (video := video_of_clip(key)) in videos:
                found[videos[video]].append(key)
        return found


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
    rows = _rows(content.path, read_clip_list(content), split)
    keys = {row.key for row in rows}
    rows = [row for row in rows if f"{row.key}{WHOLE_VIDEO}" not in keys]  # MUSIC's json has both names of a video
    names = Names.of([(*row.folders, row.key) for row in rows], str(path))
    ids = tuple(dict.fromkeys(names.keys))
    if not ids:
        raise InputError(f"{path} names no clip{f' of split {split}' if split else ''}. Give a list of clip ids.")
    stem = PurePosixPath(content.path.name.removesuffix(".gz")).stem
    return IdList(name or stem, ids, str(path), content.sha256, len(rows) - len(ids), names.places)


def ids_of(test_set: TestSet) -> IdList:
    """The clips of an annotated set as a list."""
    return IdList(test_set.name, test_set.keys, test_set.source, test_set.sha256, places=test_set.places)


def overlap(train: IdList, test: IdList) -> Overlap:
    """Clips of `test` that `train` contains, and how many of its source videos."""
    known = set(train.ids)
    clips = tuple(key for key in test.ids if key in known)
    videos = {video_of_clip(key) for key in train.ids} & {video_of_clip(key) for key in test.ids}
    return Overlap(train.name, test.name, clips, len(train.ids), len(test.ids), len(videos))


def coverage(wanted: IdList, present: Collection[str]) -> Coverage:
    """Which clips of a list are among `present` keys."""
    wanted, known = wanted.known_as(present), set(present)
    found = tuple(key for key in wanted.ids if key in known)
    return Coverage(wanted.name, found, tuple(key for key in wanted.ids if key not in known))


def restrict(test_set: TestSet, wanted: IdList) -> TestSet:
    """The annotated clips of a list, in list order, as a set named after both: "vggss-vggss_heard_test".

    Heard and unheard mean different classes in different papers, so the list's name stays with every result.
    InputError names clips that have no annotation.
    """
    by_key = {annotation.key: annotation for annotation in test_set.annotations}
    ids = tuple(dict.fromkeys(wanted.names.as_in(test_set.names)))
    check_annotated(ids, by_key, wanted, test_set.source)
    chosen, name = tuple(by_key[key] for key in ids), f"{test_set.name}-{wanted.name}"
    places = {key: test_set.places[key] for key in ids if key in test_set.places}
    digest = hash_of((test_set.sha256, wanted.sha256))
    return TestSet(name, chosen, f"{test_set.source} + {wanted.source}", digest, places)


def check_annotated(keys: Iterable[str], known: Collection[str], wanted: IdList, source: str) -> None:
    """InputError names clips of a list, by their keys in a set, that the set does not know."""
    ids = tuple(dict.fromkeys(keys))
    if absent := [key for key in ids if key not in known]:
        raise InputError(
            f"{len(absent)} of the {len(ids)} clips of {wanted.source} are not annotated in {source}, "
            f"first {absent[0]}. Give the annotations this list was made for."
        )


def _rows(path: Path, listed: ClipList, split: str | None) -> list[ClipLabel]:
    if split is None:
        return list(listed.rows)
    if not listed.splits:
        raise InputError(f"{path} has no split column ({listed.layout}), so split {split} cannot be chosen.")
    return [row for row in listed.rows if row.split and split_of(row.split) == split_of(split)]


def video_of_clip(key: str) -> str:
    """The video that a clip was cut from, or a frame, whose own video may be a clip. A whole one goes without the
    constant end that MUSIC gives its name."""
    return named_clip(named_clip(key).source_id.removesuffix(WHOLE_VIDEO)).source_id


def hash_of(parts: Iterable[str]) -> str:
    """One hash for what was put together of several files, of the hashes of these."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
