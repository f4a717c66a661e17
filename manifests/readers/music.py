"""MUSIC: detector boxes of instruments in solo, duet and synthetic frames (DSOL).

`solotest.json` and `duettest.json` map `<video>/frame_<second>/<frame>.jpg` to boxes "normbox" [x, y, width, height] as
fractions with a "category_id"; synthetic frames have `box/<k>.npy` with rows [x, y, width, height, category]. The boxes
come from a detector, not from people, and 1,116 solo and 1,228 duet frames have none: released code skips those, here
they stay countable.
"""

from pathlib import Path
from typing import Any

from manifests.annotations import MOST_SHOWN, Box, corners, read_box
from manifests.errors import InputError
from manifests.files.arrays import array_of
from manifests.files.content import Content, read_content, sha256_of_all
from manifests.files.folders import by_key, files_in
from manifests.files.given import shortened, understood
from manifests.keys import named_clip, safe_key
from manifests.splits import IdList
from manifests.test_sets import LOCALIZATION, MULTI_SOURCE, RETRIEVAL, Format, MusicFrame, MusicSet, Truth

CATEGORIES = {
    1: "cello", 3: "acoustic_guitar", 8: "saxophone", 10: "trumpet", 11: "violin", 12: "flute", 13: "accordion",
}  # fmt: skip

LARGEST_FRACTION = 1000.0  # of a frame; a box in it has none above 1


def read_music(path: Path | str, name: str) -> MusicSet:
    """Read `solotest.json` or `duettest.json` (also gzipped). InputError names the frame that cannot be understood."""
    content = read_content(path)
    entries = content.json()
    if entries == {}:
        raise InputError(f"{path} names no frame. Give a list with the boxes of one frame at least.")
    if not isinstance(entries, dict):
        raise InputError(f"{path} is JSON but not an object of frames. Give solotest.json or duettest.json of DSOL.")
    frames = tuple(_frame(key, _rows(entry, f"{path}, {key}"), f"{path}, {key}") for key, entry in entries.items())
    return MusicSet(name, frames, str(path), content.sha256)


def read_music_synthetic(folder: Path | str) -> MusicSet:
    """Read the synthetic set's folder of `<k>.npy` box files, in numeric order."""
    folder = Path(folder)
    files = sorted(files_in(folder, {".npy"}), key=lambda file: (len(file.stem), file.stem))
    if not files:
        raise InputError(f"{folder} holds no box file (<k>.npy). Give the box folder of MUSIC-Synthetic.")
    of_key = by_key(((safe_key(file.stem), file) for file in files), folder)
    contents = {key: read_content(file) for key, file in of_key.items()}
    frames = tuple(_frame(key, _array(content), str(content.path)) for key, content in contents.items())
    digest = sha256_of_all((content.path.stem, content) for content in contents.values())
    return MusicSet("music_synthetic", frames, str(folder), digest)


def _array(content: Content) -> list[Any]:
    with understood(content.path, "is not a plain array", "Export it without Python objects."):
        return array_of(content.content).tolist()


def _rows(entry: Any, where: str) -> list[list[Any]]:
    with understood(where, 'lacks "bbox", "normbox" or "category_id"', "Use the released file."):
        return [[*each["normbox"], each["category_id"]] for each in entry["bbox"]]


def _frame(key: str, rows: Any, where: str) -> MusicFrame:
    """A frame of rows x, y, width, height, category."""
    from manifests.pixels import SIZE

    grouped: dict[str, tuple[Box, ...]] = {}
    as_read = []
    for row in rows if isinstance(rows, list) else [rows]:
        if not isinstance(row, list) or len(row) != 5 or _category(row[4]) is None:
            shown = shortened(repr(row), MOST_SHOWN)
            raise InputError(f"{where} has the row {shown}. A row is x, y, width, height and one of {CATEGORIES}.")
        box = read_box(row[:4], where)
        if max(map(abs, box)) > LARGEST_FRACTION:
            raise InputError(f"{where} has the box {box}. Its numbers are fractions of the frame; correct the file.")
        as_read.append(box)
        grouped[CATEGORIES[row[4]]] = (*grouped.get(CATEGORIES[row[4]], ()), corners(*box, SIZE))
    return MusicFrame(key, grouped, as_read=tuple(as_read))


def _category(value: Any) -> str | None:
    return CATEGORIES.get(int(value)) if isinstance(value, int | float) and value in CATEGORIES else None


def _truth(path: Path, _wanted: IdList | None) -> Truth:
    """Frames of a json (solo, duet), or a folder of box arrays (synthetic)."""
    name = f"music_{path.name.partition('test')[0]}" if "test" in path.name else "music"
    music = read_music_synthetic(path) if path.is_dir() else read_music(path, name)
    if not music.scorable:
        raise InputError(f"{path} has no box in any of its {len(music.frames)} frames. Give the file as released.")
    return Truth("music", music.test_set(), music=music, tasks=frozenset({LOCALIZATION, MULTI_SOURCE, RETRIEVAL}))


def _video(key: str) -> str:
    return named_clip(key).source_id


_HELP = "MUSIC: solotest.json, duettest.json, or the box folder of the synthetic set"
FORMATS = {"music": Format(_HELP, _truth, video_of=_video)}
