"""Which label lists belong to the clips of a source folder, and the join of the two.

Lists are those given to --meta, or else those that lie beside the videos and name some of them. Many clips may share a
row and many rows a clip; what does not fit is counted and said, never dropped in silence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from manifests.clip_rows import ClipLabel
from manifests.errors import InputError
from manifests.readers.label_lists import LabelTable, read_labels
from pipeline.sources.listing import Clip, Listing, readable, stem_key
from pipeline.storage.remote import Place

OFFICIAL = ("vggsound.csv", "vggsound.csv.gz")


@dataclass(frozen=True)
class Labels:
    """The lists in use, earlier ones first in rank, and those found beside the videos but not used, with the reason."""

    tables: tuple[LabelTable, ...] = ()
    unused: tuple[tuple[Place, str], ...] = ()

    def join(self, clips: Sequence[Clip]) -> list[Clip]:
        """Clips with label and split of the first list that names them; folder names stay where no list does."""
        return [_labelled(clip, self._row(stem_key(clip))) for clip in clips]

    def _row(self, key: str) -> ClipLabel | None:
        return next((table.rows[key] for table in self.tables if key in table.rows), None)

    def describe(self, clips: Sequence[Clip]) -> Iterator[str]:
        """A line for every list, used or not."""
        present = set(map(stem_key, clips))
        for table in self.tables:
            absent, named = table.absent(present), len(table.rows.keys() & present)
            yield (
                f"labels: {readable(table.path)} ({table.format}) names {named} of these clips"
                + (f"; {len(absent)} it lists are absent, such as {absent[0]}" if absent else "")
                + f"; it says: {readable(table.examples)}"
                + (f"; {table.conflicting} rows contradict an earlier one, which counts" if table.conflicting else "")
            )
        for path, reason in self.unused:
            yield f"labels: {readable(str(path))} is not used: {reason}"


def _labelled(clip: Clip, row: ClipLabel | None) -> Clip:
    return clip if row is None else replace(clip, label=row.label or clip.label, split=row.split or clip.split)


def _read(path: Place) -> LabelTable:
    if isinstance(path, Path):
        return read_labels(path)
    with TemporaryDirectory() as folder:  # the readers tell formats apart by name and content of a file
        local = Path(folder, path.name)
        path.download(str(local))
        return replace(read_labels(local), path=str(path))


def find_labels(meta: Sequence[Place], listing: Listing) -> Labels:
    """The lists given, or without any those found: vggsound.csv alone where it is, else every one that fits a clip."""
    if meta:
        return Labels(tuple(map(_read, meta)))
    official = [path for path in listing.label_files if path.name in OFFICIAL]
    present = set(map(stem_key, listing.clips))
    tables: list[LabelTable] = []
    unused: list[tuple[Place, str]] = []
    for path in listing.label_files:
        if official and path not in official:
            unused.append((path, f"{official[0].name} is"))
            continue
        try:
            table = _read(path)
        except InputError:
            unused.append((path, "it is no label list; give it to --meta to see why"))
            continue
        if table.labelled and not present.isdisjoint(table.rows):
            tables.append(table)
        else:
            unused.append((path, "it holds no label of these clips"))
    return Labels(tuple(tables), tuple(unused))
