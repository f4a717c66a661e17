"""AVSBench-semantic (AVSS): videos with one of 71 classes for every pixel, one frame a second.

The folder holds `metadata.csv` (columns `uid`, `label`, `split` and others; `label` is the part: v1s, v1m or v2) and
for each video `<label>/<uid>/labels_rgb/<n>.png`, n from 0: 5 frames of v1s and v1m, 10 of v2. Keys are
`<label>/<uid>_<n + 1>`. What is not black is sounding, so the frames serve as pixel masks, too. `label2idx.json`
beside it, where it is there, says what the classes are called.
"""

from pathlib import Path

from manifests.annotations import Annotation, TestSet
from manifests.class_maps import AVSS_CLASSES
from manifests.errors import InputError
from manifests.files.content import Content, read_content, read_object, sha256_of_all
from manifests.files.given import has_file
from manifests.files.spelling import as_on_disk
from manifests.keys import safe_key, video_of_frame_path
from manifests.splits import IdList
from manifests.test_sets import RETRIEVAL, SEGMENTATION, SEMANTIC, ClassSet, Format, MaskSet, Truth

COLUMNS = ("uid", "label", "split")
PARTS = {"v1s": 5, "v1m": 5, "v2": 10}  # frames of a video
SPLIT = "test"
NAMES = "label2idx.json"


def read_avss(folder: Path | str) -> Truth:
    """The frames of the test split. InputError names a video whose frames are not all there."""
    folder = Path(folder)
    content = read_content(folder / "metadata.csv")
    files = dict[str, Path]()
    for part, video in _videos(content):
        for number in range(PARTS[part]):
            file = as_on_disk(folder / part / video / "labels_rgb" / f"{number}.png")
            files[f"{part}/{safe_key(video)}_{number + 1}"] = file
    name, source = f"avss_{SPLIT}", str(folder)
    digest = sha256_of_all(((key, read_content(file)) for key, file in files.items()), content)
    test_set = TestSet(name, tuple(Annotation(key, None, ()) for key in files), source, digest)
    return Truth(
        "avss",
        test_set,
        masks=MaskSet(name, files, source, digest),
        tasks=frozenset({SEGMENTATION, SEMANTIC, RETRIEVAL}),
        protocols=("avsbench",),
        classes=ClassSet(files, "avss", numbers=_numbers(folder / NAMES)),
    )


def _numbers(path: Path) -> dict[str, int]:
    """Class numbers by name; none where the file is not there. InputError for what are no classes of the set."""
    if not has_file(path):
        return {}
    found = read_object(path)
    if wrong := [name for name, number in found.items() if number not in range(AVSS_CLASSES) or number is True]:
        raise InputError(
            f"{path} gives the class {wrong[0][:80]!r} the number {str(found[wrong[0]])[:80]}; classes are 0 to "
            f"{AVSS_CLASSES - 1}. Give the file as released."
        )
    return found


def _videos(content: Content) -> list[tuple[str, str]]:
    """Part and name of each video of the test split. InputError for other columns, parts or names, or no video."""
    rows = content.rows()
    if not rows or not set(COLUMNS) <= set(rows[0]):
        raise InputError(
            f"{content.path} lacks the columns {', '.join(COLUMNS)}. Give AVSBench-semantic's metadata.csv."
        )
    where = [rows[0].index(name) for name in COLUMNS]
    found = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(rows[0]):
            raise InputError(f"{content.path}, row {number}, has {len(row)} of {len(rows[0])} fields. Correct it.")
        video, part, split = (row[column].strip() for column in where)
        if part not in PARTS or not video or Path(video).name != video:
            raise InputError(
                f"{content.path}, row {number}, says the video {video[:80]!r} of the part {part[:80]!r}. Parts are "
                f"{', '.join(PARTS)}, and a video is the name of a folder in one of them."
            )
        if split == SPLIT:
            found.append((part, video))
    if not found or len(set(found)) < len(found):
        what = "a video twice" if found else "no video"
        raise InputError(f"{content.path} has {what} in the split {SPLIT}. Give the file as released.")
    return found


def _truth(path: Path, _wanted: IdList | None) -> Truth:
    return read_avss(path)


FORMATS = {
    "avss": Format(
        "AVSBench-semantic: the folder of metadata.csv, v1s, v1m and v2", _truth, video_of=video_of_frame_path
    )
}
