"""What lists beside material say of its files: class, box, and the recording or photograph a file comes from.

Read are csv files with a header, by the names of their columns (ESC-50, UrbanSound8K, FSD50K and others), and segment
lists: VGGSound's, and AudioSet's, whose class ids `class_labels_indices.csv` explains, the one beside them first. Lists
are looked for in the folder, one below, and in the folder above, where a manifest of everything may lie. `listed` says
of which files their rows are.
"""

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from manifests.clip_lists.file_names import is_youtube_id
from manifests.clip_lists.starts import in_seconds
from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.files.folders import files_below
from manifests.files.given import has_file
from manifests.files.spelling import composed
from manifests.keys import parse_clip_name, segment_key, stem_of
from pipeline.compose.named_files import Name, parts_of

COLUMNS = {
    "file": ("file", "filename", "file_name", "fname", "slice_file_name", "path", "image", "audio"),
    "label": ("cls", "class", "class_name", "category", "label", "labels", "display_name"),
    "source": ("source_path", "src_file", "fsid", "freesound_id", "recording", "source_id", "youtube_id", "ytid"),
    "x1": ("x1", "xmin"), "y1": ("y1", "ymin"), "x2": ("x2", "xmax"), "y2": ("y2", "ymax"),
}  # fmt: skip
CLASS_IDS = "class_labels_indices.csv"
OF_COLLECTIONS = "source_path"  # the one column whose sources may be instruments, such as "GM program 58"
SEVERAL = "labels"  # the one column of these that holds classes joined by commas
_JOINT = re.compile(r",(?!\s)")  # FSD50K's; "Violin, fiddle" is one class
_NAMES = (  # of files that name the recording they were cut from
    re.compile(r"\d-(?P<id>\d+)-[A-Z](?:-\d+)?"),  # ESC-50: fold, Freesound id, take, class
    re.compile(r"(?P<id>\d+)-\d+-\d+-\d+"),  # UrbanSound8K: Freesound id, class, occurrence, slice
)


@dataclass(frozen=True)
class Entry:
    """What a list says of a file. box: x1, y1, x2, y2 as written, pixels or shares of the frame. `of_collection`: the
    source may be more than one recording or photograph."""

    labels: tuple[str, ...] = ()
    source: str | None = None
    of_collection: bool = False
    box: tuple[float, float, float, float] | None = None


@dataclass
class Catalogue:
    """`rows`: what each csv file that names files says, name by name. `by_clip`: what segment lists say of clips and of
    whole videos, each with the folder of the list."""

    rows: dict[Path, list[tuple[Name, Entry]]] = field(default_factory=dict)
    by_clip: dict[str, list[tuple[Path, Entry]]] = field(default_factory=lambda: defaultdict(list))


def read_catalogue(root: Path) -> Catalogue:
    """Every list that lies beside the material; csv files that name no files are passed over."""
    above = Path(os.path.abspath(root)).parent / "manifest.csv"
    near = [path for path in files_below(root, {".csv"}) if len(path.relative_to(root).parts) <= 2]
    catalogue = Catalogue()
    ids = {path.parent: _class_names(path) for path in near if path.name == CLASS_IDS}
    lists = [path for path in near if path.name != CLASS_IDS]
    for path in dict.fromkeys([*([above] if has_file(above) else []), *lists]):
        _read_list(path, catalogue, ids, root)
    return catalogue


def _read_list(path: Path, catalogue: Catalogue, ids: Mapping[Path, Mapping[str, str]], root: Path) -> None:
    rows = [row for row in read_content(path).rows() if not row[0].lstrip().startswith("#")]
    if rows and rows[0][0].strip().casefold() == "ytid":
        rows = rows[1:]
    if rows and all(map(_is_segment, rows)):
        _read_segments(rows, catalogue, _class_names_for(path, ids, root), path)
        return
    header = [name.strip().casefold() for name in rows[0]] if rows else []
    columns = {what: _column(header, names) for what, names in COLUMNS.items()}
    if columns["file"] is None:
        return
    several = columns["label"] is not None and header[columns["label"]] == SEVERAL
    by_path = columns["source"] is not None and header[columns["source"]] == OF_COLLECTIONS
    named = catalogue.rows[path] = []
    for row in rows[1:]:
        values = {what: row[at].strip() for what, at in columns.items() if at is not None and at < len(row)}
        if name := parts_of(values.get("file", "")):
            named.append((name, _entry(values, path, several, by_path)))


def _column(header: list[str], names: Iterable[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _entry(values: Mapping[str, str], path: Path, several: bool, by_path: bool) -> Entry:
    label, corners = values.get("label", ""), [values.get(name, "") for name in ("x1", "y1", "x2", "y2")]
    try:
        box = (float(corners[0]), float(corners[1]), float(corners[2]), float(corners[3])) if all(corners) else None
    except ValueError as error:
        raise InputError(
            f"{path} has a box that is no four numbers, of {values['file']} ({error}). Correct it."
        ) from error
    labels = [name.strip() for name in (_JOINT.split(label) if several else [label])]
    source = values.get("source") or None
    return Entry(tuple(filter(None, labels)), source, by_path and source is not None and _names_no_file(source), box)


def _is_segment(row: list[str]) -> bool:
    """A video and a second of it, as AudioSet and VGGSound list them, whatever the second is."""
    return len(row) >= 3 and is_youtube_id(row[0].strip()) and _is_number(row[1])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_segments(rows: Iterable[list[str]], catalogue: Catalogue, ids: Mapping[str, str], path: Path) -> None:
    """AudioSet: video, start, end, class ids in one field. VGGSound: video, start, class, split."""
    rows = list(rows)
    starts = in_seconds([(row[1], row[2]) for row in rows], path)
    for row, given in zip(rows, starts, strict=True):
        video, start = row[0].strip(), float(str(given))
        if not 0 <= start < math.inf:
            raise InputError(f"{path} lists {video} from second {start} on, which is none of a video. Correct it.")
        classes = row[3].split(",") if len(row) > 3 and _is_number(row[2]) else [row[2]]
        entry = Entry(tuple(ids.get(name.strip(), name.strip()) for name in classes), video)
        for name in (segment_key(video, start), video):
            catalogue.by_clip[name].append((path.parent, entry))


def _class_names(path: Path) -> dict[str, str]:
    """AudioSet's class names by id."""
    return {row[1]: row[2] for row in read_content(path).rows()[1:] if len(row) > 2}


def _class_names_for(path: Path, ids: Mapping[Path, Mapping[str, str]], root: Path) -> Mapping[str, str]:
    """The class names for a list: of its own folder, else of the whole folder, else of all others, if these agree."""
    for folder in (path.parent, root):
        if folder in ids:
            return ids[folder]
    names: dict[str, str] = {}
    for each in ids.values():
        for mid, name in each.items():
            if names.setdefault(mid, name) != name:
                places = " and ".join(map(str, sorted(ids)))
                raise InputError(
                    f"{path} lists classes by id, and {CLASS_IDS} in {places} differ: {mid} is {names[mid]!r} or "
                    f"{name!r}. Put the right one beside the list."
                )
    return names


def source_of(path: Path, entry: Entry | None, root: Path) -> str:
    """Which recording or photograph a file comes from: as a list says, as its name says, or itself."""
    listed = entry.source if entry else None
    return composed(_recording_named(listed or path.name) or listed or path.relative_to(root).as_posix())


def _recording_named(text: str) -> str | None:
    """The recording or video that a file's name tells; None when it tells none."""
    name = stem_of(PurePosixPath(text).name)
    for pattern in _NAMES:
        if match := pattern.fullmatch(name):
            return f"freesound {match['id']}"
    clip = parse_clip_name(name)
    return clip.source_id if clip.start_seconds is not None else None


def _names_no_file(source: str) -> bool:
    name = PurePosixPath(source).name
    return stem_of(name) == name and _recording_named(source) is None


def is_of_collection(entry: Entry | None) -> bool:
    """Whether what `source_of` tells may be more than one recording or photograph."""
    return entry is not None and entry.of_collection
