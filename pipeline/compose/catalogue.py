"""What lists beside material say of its files: class, box, and the recording or photograph a file comes from.

Read are csv files with a header, by the names of their columns (ESC-50, UrbanSound8K, FSD50K and others), and segment
lists: VGGSound's, and AudioSet's, whose class ids `class_labels_indices.csv` beside them explains. Lists are looked for
in the folder, one below, and in the folder above, where a manifest of everything may lie. A name without a suffix, as
FSD50K lists them, is that of a file with any; rows that name no file are passed over, and files that are named and not
there are told by `absent`. Segment lists name videos, most of which are never there.
"""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from manifests.content import read_content
from manifests.errors import InputError
from manifests.keys import parse_clip_name, segment_key, stem_of
from pipeline.compose.files import Rejection, in_background_folder

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
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
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
    """Entries by file name (with the folders the list gives) and by clip, for names such as `<ytid>_<start>`.
    `listed`: the list that names a file first, by the name's parts."""

    listed: dict[tuple[str, ...], Path] = field(default_factory=dict)
    by_name: dict[str, list[tuple[tuple[str, ...], Entry]]] = field(default_factory=lambda: defaultdict(list))
    by_clip: dict[str, Entry] = field(default_factory=dict)

    def named_by(self, path: Path) -> set[tuple[str, ...]]:
        """The parts of every listed name that is a file's, with its suffix or without."""
        return {
            at for each in (path, path.with_suffix("")) for at, _ in self.by_name.get(each.name, ())
            if each.parts[-len(at) :] == at
        }  # fmt: skip

    def find(self, path: Path) -> list[Entry]:
        """All that the lists say of a file, the most precise first: an image may hold several objects."""
        named = self._named(path) or self._named(path.with_suffix(""))
        longest = max((count for count, _ in named), default=0)
        clip = self.by_clip.get(parse_clip_name(path.stem).key) or self.by_clip.get(path.stem[-11:])
        return [entry for count, entry in named if count == longest] or ([clip] if clip else [])

    def _named(self, path: Path) -> list[tuple[int, Entry]]:
        """Entries whose name fits, with the number of its parts."""
        parts = path.parts
        return [(len(at), entry) for at, entry in self.by_name.get(path.name, ()) if parts[-len(at) :] == at]


def read_catalogue(root: Path) -> Catalogue:
    """Every list that lies beside the material; csv files that name no files are passed over."""
    found = [*root.parent.glob("manifest.csv"), *root.glob("*.csv"), *root.glob("*/*.csv")]
    paths = sorted({path.resolve() for path in found if path.name != CLASS_IDS})
    catalogue, ids = Catalogue(), _class_names(root)
    for path in paths:
        _read_list(path, catalogue, ids)
    return catalogue


def absent(
    catalogue: Catalogue, root: Path, there: Iterable[Path], stage: str, suffixes: Collection[str]
) -> list[Rejection]:
    """Files of these suffixes that csv files list and that are not `there`. A list in the folder above may be of other
    folders, too: of it only names that begin with this folder count."""
    names, here = set().union(*(catalogue.named_by(path.absolute()) for path in there)), root.resolve()
    return [
        Rejection("/".join(at), stage, "not_found", f"{path} names it")
        for at, path in catalogue.listed.items()
        if at not in names and PurePosixPath(at[-1]).suffix.lower() in suffixes and _is_of(path, at, here, stage)
    ]


def _is_of(path: Path, name: tuple[str, ...], here: Path, stage: str) -> bool:
    """Whether a list's row is of this folder, and not of the backgrounds in it."""
    if not path.is_relative_to(here):
        return name[:-1][:1] == (here.name,)
    return stage == "background" or not in_background_folder(path, here)


def _read_list(path: Path, catalogue: Catalogue, ids: Mapping[str, str]) -> None:
    rows = [row for row in read_content(path).rows() if not row[0].lstrip().startswith("#")]
    if rows and rows[0][0].strip().casefold() == "ytid":
        rows = rows[1:]
    if rows and all(map(_is_segment, rows)):
        _read_segments(rows, catalogue, ids, path)
        return
    header = [name.strip().casefold() for name in rows[0]] if rows else []
    columns = {what: _column(header, names) for what, names in COLUMNS.items()}
    if columns["file"] is None:
        return
    several = columns["label"] is not None and header[columns["label"]] == SEVERAL
    by_path = columns["source"] is not None and header[columns["source"]] == OF_COLLECTIONS
    for row in rows[1:]:
        values = {what: row[at].strip() for what, at in columns.items() if at is not None and at < len(row)}
        at = PurePosixPath(values.get("file", "").replace("\\", "/")).parts
        if at:
            catalogue.listed.setdefault(at, path)
            catalogue.by_name[at[-1]].append((at, _entry(values, path, several, by_path)))


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
    return len(row) >= 3 and bool(_YOUTUBE_ID.fullmatch(row[0].strip())) and _is_number(row[1])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_segments(rows: Iterable[list[str]], catalogue: Catalogue, ids: Mapping[str, str], path: Path) -> None:
    """AudioSet: video, start, end, class ids in one field. VGGSound: video, start, class, split."""
    for row in rows:
        video, start = row[0].strip(), float(row[1])
        if not 0 <= start < math.inf:
            raise InputError(f"{path} lists {video} from second {start} on, which is none of a video. Correct it.")
        classes = row[3].split(",") if len(row) > 3 and _is_number(row[2]) else [row[2]]
        entry = Entry(tuple(ids.get(name.strip(), name.strip()) for name in classes), video)
        catalogue.by_clip[segment_key(video, start)] = catalogue.by_clip[video] = entry


def _class_names(root: Path) -> dict[str, str]:
    """AudioSet's class names by id."""
    for path in (*root.glob(CLASS_IDS), *root.glob(f"*/{CLASS_IDS}")):
        return {row[1]: row[2] for row in read_content(path).rows()[1:] if len(row) > 2}
    return {}


def source_of(path: Path, entry: Entry | None, root: Path) -> str:
    """Which recording or photograph a file comes from: as a list says, as its name says, or itself."""
    listed = entry.source if entry else None
    return _recording_named(listed or path.name) or listed or path.relative_to(root).as_posix()


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
