"""What the lists beside material say of each of its files, and the files that they name and that are not there.

A row is of the one file that `named_files` finds for it. Where several rows name a file, those with most of its path
count, all of them: an image may hold several objects. Segment lists name videos, most of which are never there: they
count where no row does, and those in the innermost folder that holds the file, or else all.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from manifests.files.folders import files_below
from manifests.files.spelling import compared
from manifests.files.suffixes import AUDIO_SUFFIXES, IMAGE_SUFFIXES
from manifests.keys import parse_clip_name
from pipeline.compose.catalogue import Catalogue, Entry, read_catalogue
from pipeline.compose.files import Rejection, Unusable, in_background_folder
from pipeline.compose.named_files import Name, NamedFiles, Unclear

VIDEO_ID_LENGTH = 11  # of YouTube


@dataclass(frozen=True)
class Listed:
    """`entries` of each file, none where no list names it; `rejected`: files of which lists say what cannot be, which
    have no entries, and names in lists that are of no file, or of several."""

    entries: dict[Path, list[Entry]]
    rejected: list[Rejection]


def read_listed(root: Path, paths: Collection[Path], stage: str, suffixes: Collection[str]) -> Listed:
    """What lists say of `paths`, the files of a stage below the root. Names with other suffixes need not be there."""
    catalogue = read_catalogue(root)
    rows, absent, unclear = _assigned(catalogue, root, set(paths))
    told = [each.rejections(stage, rows) for each in unclear]
    refused = {path: rejection for files, _ in told for path, rejection in files.items()}
    rejected = [rejection for _, names in told for rejection in names]
    for (_, name), giver in absent.items():
        if PurePosixPath(name[-1]).suffix.lower() in suffixes and _is_of(giver, name, root, stage):
            rejected.append(Rejection("/".join(name), stage, "not_found", f"{giver} names it"))
    entries: dict[Path, list[Entry]] = {}
    for path in paths:
        try:
            if path not in refused:
                entries[path] = _most_precise(rows[path]) if path in rows else _of_clip(path, catalogue)
        except Unusable as error:
            refused[path] = Rejection(str(path), stage, error.reason, error.message)
    return Listed(entries, [*rejected, *refused.values()])


Rows = dict[Path, list[tuple[bool, int, Entry]]]  # by file: whether the name has its suffix, how many parts it has


def _assigned(
    catalogue: Catalogue, root: Path, own: Collection[Path]
) -> tuple[Rows, dict[tuple[Path, Name], Path], list[Unclear]]:
    """The rows of each file, the list of each name by its folder that is of none, and the names that are of several."""
    rows: Rows = defaultdict(list)
    absent: dict[tuple[Path, Name], Path] = {}
    unclear: dict[tuple[Path, Name], Unclear] = {}
    files = NamedFiles(root, files_below(root, IMAGE_SUFFIXES | AUDIO_SUFFIXES))
    for giver, listed in catalogue.rows.items():
        meant = files.meant([name for name, _ in listed], giver)
        for name, entry in listed:
            fitting = [path for path in meant[name] if path in own]
            if len(fitting) == 1:
                rows[fitting[0]].append((compared(fitting[0].name) == name[-1], len(name), entry))
            elif fitting:
                unclear[giver, name] = Unclear(name, giver, fitting)
            elif not meant[name]:
                absent.setdefault((giver.parent, name), giver)
    return rows, absent, list(unclear.values())


def _is_of(giver: Path, name: Name, root: Path, stage: str) -> bool:
    """Whether a list's row is of this folder, and not of the backgrounds in it. A list in the folder above may be of
    other folders, too: of it only names that begin with this folder count."""
    if not giver.is_relative_to(root):
        return name[:-1][:1] == (compared(root.resolve().name),)
    return stage == "background" or not in_background_folder(giver, root)


def _most_precise(rows: Sequence[tuple[bool, int, Entry]]) -> list[Entry]:
    most = max((suffixed, parts) for suffixed, parts, _ in rows)
    return list(dict.fromkeys(entry for suffixed, parts, entry in rows if (suffixed, parts) == most))


def _of_clip(path: Path, catalogue: Catalogue) -> list[Entry]:
    """What segment lists say of a file that is named as a clip, or as a whole video: then of its only segment. Raises
    Unusable."""
    name = parse_clip_name(path.stem)
    if name.start_seconds is not None and name.key in catalogue.by_clip:
        return _nearest(path, catalogue.by_clip[name.key])
    entries = _nearest(path, catalogue.by_clip.get(path.stem[-VIDEO_ID_LENGTH:], ()))
    if len(entries) > 1:
        classes = " or ".join(", ".join(entry.labels) for entry in entries)
        raise Unusable("several_fit", f"lists name segments of its video that are of {classes}, and it may be of each")
    return entries


def _nearest(path: Path, named: Sequence[tuple[Path, Entry]]) -> list[Entry]:
    depths = [len(folder.parts) if folder in path.parents else 0 for folder, _ in named]
    return list(dict.fromkeys(entry for (_, entry), depth in zip(named, depths, strict=True) if depth == max(depths)))
