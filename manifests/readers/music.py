"""MUSIC: detector boxes of instruments in solo, duet and synthetic frames (DSOL).

`solotest.json` and `duettest.json` map `<video>/frame_<second>/<frame>.jpg` to boxes "normbox" [x, y, width, height] as
fractions with a "category_id"; synthetic frames have `box/<k>.npy` with rows [x, y, width, height, category]. The boxes
come from a detector, not from people, and 1,116 solo and 1,228 duet frames have none: released code skips those, here
they stay countable.
"""

import hashlib
from pathlib import Path
from typing import Any

from manifests.annotations import Box, corners
from manifests.content import Content, read_content
from manifests.errors import InputError
from manifests.splits import IdList
from manifests.test_sets import LOCALIZATION, MULTI_SOURCE, RETRIEVAL, Format, MusicFrame, MusicSet, Truth

CATEGORIES = {
    1: "cello", 3: "acoustic_guitar", 8: "saxophone", 10: "trumpet", 11: "violin", 12: "flute", 13: "accordion",
}  # fmt: skip


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


def _truth(path: Path, _wanted: IdList | None) -> Truth:
    """Frames of a json (solo, duet), or a folder of box arrays (synthetic)."""
    name = f"music_{path.name.partition('test')[0]}" if "test" in path.name else "music"
    music = read_music_synthetic(path) if path.is_dir() else read_music(path, name)
    return Truth("music", music.test_set(), music=music, tasks=frozenset({LOCALIZATION, MULTI_SOURCE, RETRIEVAL}))


FORMATS = {"music": Format("MUSIC: solotest.json, duettest.json, or the box folder of the synthetic set", _truth)}
