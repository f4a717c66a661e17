"""MUSIC: detector boxes of instruments in solo, duet and synthetic frames (DSOL).

`solotest.json` and `duettest.json` map `<video>/frame_<second>/<frame>.jpg` to boxes "normbox" [x, y, width, height] as
fractions with a "category_id"; synthetic frames have `box/<k>.npy` with rows [x, y, width, height, category]. The boxes
come from a detector, not from people, and 1,116 solo and 1,228 duet frames have none: released code skips those, here
they stay countable.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.annotations import Annotation, Box, TestSet, corners
from manifests.content import Content, read_content
from manifests.errors import InputError

CATEGORIES = {
    1: "cello", 3: "acoustic_guitar", 8: "saxophone", 10: "trumpet", 11: "violin", 12: "flute", 13: "accordion",
}  # fmt: skip


@dataclass(frozen=True)
class MusicFrame:
    """One frame: its boxes by instrument name."""

    key: str
    boxes: dict[str, tuple[Box, ...]]


@dataclass(frozen=True)
class MusicSet:
    """Frames in file order; those without a box are kept, `scorable` leaves them out."""

    name: str
    frames: tuple[MusicFrame, ...]
    source: str
    sha256: str

    @property
    def scorable(self) -> tuple[MusicFrame, ...]:
        """The frames with at least one box."""
        return tuple(frame for frame in self.frames if frame.boxes)

    def test_set(self) -> TestSet:
        """The scorable frames with the union of their boxes, as MUSIC-solo is scored; labels join the instruments."""
        annotations = (
            Annotation(frame.key, " ".join(frame.boxes), tuple(box for boxes in frame.boxes.values() for box in boxes))
            for frame in self.scorable
        )
        return TestSet(self.name, tuple(annotations), self.source, self.sha256)


def read_music(path: Path | str, name: str) -> MusicSet:
    """Read `solotest.json` or `duettest.json` (also gzipped). InputError names the frame that cannot be understood."""
    content = read_content(path)
    entries = content.json()
    if not isinstance(entries, dict) or not entries:
        raise InputError(f"{path} is JSON but not an object of frames. Give solotest.json or duettest.json of DSOL.")
    frames = tuple(MusicFrame(key, _boxes(entry, f"{path}, {key}")) for key, entry in entries.items())
    return MusicSet(name, frames, str(path), content.sha256)


def read_music_synthetic(folder: Path | str, name: str = "music_synthetic") -> MusicSet:
    """Read the synthetic set's folder of `<k>.npy` box files, in numeric order."""
    import numpy as np

    files = sorted(Path(folder).glob("*.npy"), key=lambda file: (len(file.stem), file.stem))
    if not files:
        raise InputError(f"{folder} holds no box file (<k>.npy). Give the box folder of MUSIC-Synthetic.")
    digest = hashlib.sha256()
    frames = []
    for file in files:
        content = read_content(file)
        digest.update(f"{file.stem}\n".encode() + content.content)
        try:
            rows = np.load(file, allow_pickle=False)
        except ValueError as error:
            raise InputError(f"{file} is not a plain array ({error}). Export it without Python objects.") from error
        frames.append(MusicFrame(file.stem, _grouped(rows.tolist(), content)))
    return MusicSet(name, tuple(frames), str(folder), digest.hexdigest())


def _boxes(entry: Any, where: str) -> dict[str, tuple[Box, ...]]:
    try:
        rows = [[*each["normbox"], each["category_id"]] for each in entry["bbox"]]
    except (KeyError, TypeError) as error:
        raise InputError(
            f'{where} lacks "bbox", "normbox" or "category_id" ({error}). Use the released file.'
        ) from error
    return _grouped_rows(rows, where)


def _grouped(rows: list[Any], content: Content) -> dict[str, tuple[Box, ...]]:
    return _grouped_rows(rows, str(content.path))


def _grouped_rows(rows: list[Any], where: str) -> dict[str, tuple[Box, ...]]:
    grouped: dict[str, tuple[Box, ...]] = {}
    for row in rows:
        if not isinstance(row, list) or len(row) != 5 or int(row[4]) not in CATEGORIES:
            raise InputError(f"{where} has the row {row!r}. A row is x, y, width, height and one of {CATEGORIES}.")
        category = CATEGORIES[int(row[4])]
        grouped[category] = (*grouped.get(category, ()), corners(*row[:4]))
    return grouped
