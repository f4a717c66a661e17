"""Which label lists belong to the clips of a source folder, and the join of the two.

Lists are those given to --meta, or else those that lie beside the videos and name some of them. Many clips may share a
row and many rows a clip; what does not fit is counted and said, never dropped in silence.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath

from manifests.clip_lists.rows import ClipLabel, DoubtfulList
from manifests.commands.counting import are
from manifests.errors import InputError
from manifests.files.temporary import temporary_folder
from manifests.keys import safe_key
from manifests.readers.label_lists import LabelTable, NameInFolders, read_labels
from pipeline.sources.listing import FOLDER_LISTS, Clip, Listing, readable, stem_key
from pipeline.storage.remote import Place

OFFICIAL = ("vggsound.csv", "vggsound.csv.gz")


@dataclass(frozen=True)
class Labels:
    """The lists in use, earlier ones first in rank, and those found beside the videos but not used, with the reason;
    `roots` are the source folders."""

    tables: tuple[LabelTable, ...] = ()
    unused: tuple[tuple[Place, str], ...] = ()
    roots: tuple[Place, ...] = ()

    def join(self, clips: Sequence[Clip]) -> list[Clip]:
        """Clips with label and split of the first list that names them; folder names stay where no list does."""
        named = zip(clips, _names(clips, self.roots), strict=True)
        return [_labelled(clip, next(self._rows(name), None)) for clip, name in named]

    def describe(self, clips: Sequence[Clip]) -> Iterator[str]:
        """A line for every list, used or not."""
        names, present = _names(clips, self.roots), set(map(stem_key, clips))
        for table in self.tables:
            named = {id(row) for name in names if (row := table.row_of(name)) is not None}
            absent = table.absent(present)
            yield (
                f"labels: {readable(table.path)} ({table.format}) names {len(named)} of these clips"
                + (f"; {len(absent)} it lists are absent, such as {absent[0]}" if absent else "")
                + f"; it says: {readable(table.examples)}"
                + (
                    f"; {are(table.conflicting, 'row')} at odds with an earlier one, which counts"
                    if table.conflicting
                    else ""
                )
            )
        for path, reason in self.unused:
            yield f"labels: {readable(str(path))} is not used: {reason}"

    def unnamed(self, clips: Sequence[Clip]) -> list[Clip]:
        """Clips that none of the lists in use names."""
        named = zip(clips, _names(clips, self.roots), strict=True)
        return [clip for clip, name in named if next(self._rows(name), None) is None]

    def _rows(self, name: NameInFolders) -> Iterator[ClipLabel]:
        return (row for table in self.tables if (row := table.row_of(name)) is not None)


def _names(clips: Sequence[Clip], roots: Sequence[Place]) -> list[NameInFolders]:
    """What lists may know clips by."""
    named = [(stem_key(clip), roots[clip.root], _folders(clip)) for clip in clips]
    places: dict[str, set[tuple[Place, tuple[str, ...]]]] = defaultdict(set)
    for key, root, folders in named:
        places[key].add((root, folders))
    return [
        NameInFolders(key, (*_parts(root), *folders), len(folders), alone=len(places[key]) == 1)
        for key, root, folders in named
    ]


def _folders(clip: Clip) -> tuple[str, ...]:
    """The folders of a clip's own file, or of its sound, in its source."""
    inside = clip.audio or (clip.path if clip.member is None else f"{clip.path}/{clip.member}")
    return tuple(map(safe_key, PurePosixPath(inside).parts[:-1]))


@cache
def _parts(folder: Place) -> tuple[str, ...]:
    return tuple(safe_key(part) for part in str(folder.resolve()).split("/") if part)


def _labelled(clip: Clip, row: ClipLabel | None) -> Clip:
    return clip if row is None else replace(clip, label=row.label or clip.label, split=row.split or clip.split)


def _read(path: Place, found: bool = False) -> LabelTable:
    """A list that was given, or one `found` beside the videos."""
    within = _parts(path.parent) if found and path.name.lower() in FOLDER_LISTS else ()
    if isinstance(path, Path):
        return read_labels(path, within)
    with temporary_folder("list") as folder:  # the readers tell formats apart by name and content of a file
        local = folder / path.name
        path.download(str(local))
        return replace(read_labels(local, within), path=str(path))


def find_labels(meta: Sequence[Place], listing: Listing) -> Labels:
    """The lists given, or without any those found: vggsound.csv alone where it is, else every one that fits a clip,
    those of inner folders first."""
    if meta:
        return Labels(tuple(map(_read, meta)), roots=listing.roots)
    official = [path for path in listing.label_files if path.name in OFFICIAL]
    names = _names(listing.clips, listing.roots)
    tables: list[LabelTable] = []
    unused: list[tuple[Place, str]] = []
    for path in listing.label_files:
        if official and path not in official:
            unused.append((path, f"{official[0].name} is"))
            continue
        try:
            table = _read(path, found=True)
        except DoubtfulList as doubt:  # labels and splits left out in silence would have test clips trained on
            raise InputError(f"{doubt} Or name the list that counts with --meta, and this one is not read.") from doubt
        except InputError:
            unused.append((path, "it is no label list; give it to --meta to see why"))
            continue
        if table.labelled and any(table.row_of(name) for name in names):
            tables.append(table)
        else:
            unused.append((path, "it holds no label of these clips"))
    return Labels(tuple(sorted(tables, key=lambda table: -len(table.within))), tuple(unused), listing.roots)
