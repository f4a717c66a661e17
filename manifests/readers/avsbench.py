"""AVSBench S4 and MS3: frames with boxes (SSLalignment's box files) or with pixel masks (the released folders).

Keys are `<category>/<video>/<video>_<n>` for S4 and `<video>/<video>_<n>` for MS3, n = 1..5, one frame a second; the
".mp4" that MS3 image names carry in the middle is dropped, so images, boxes and masks of a frame share one key.

Released loaders take videos in the order of `s4_meta_data.csv`, which lies beside `s4_data`, and that order matters
where several are averaged first (`videos_per_batch`). Masks stand in it where the file is there, else as folders do.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.files.content import Content, read_content, sha256_of_all
from manifests.files.folders import by_key, files_below
from manifests.files.given import has_file
from manifests.keys import safe_key, video_of_frame_path
from manifests.readers.sslalignment_boxes import read_boxes224
from manifests.readers.sslalignment_masks import holds_masks, read_masks224
from manifests.splits import IdList
from manifests.test_sets import RETRIEVAL, SEGMENTATION, Format, MaskSet, Truth

MOST_DIGITS = 9  # of a frame's number
SUBSETS = {"s4": 3, "ms3": 2}  # how many path components name a frame
MEASURED = ("avsbench",)  # of boxes, too: their union stands in for the mask


def read_avsbench_boxes(path: Path | str, subset: str) -> TestSet:
    """Read `s4_box.json` or `ms3_box.json` as `subset` "s4" or "ms3"; S4 frames carry their category as label."""
    depth = _depth(subset)
    return read_boxes224(path, f"avsbench_{subset}", *_names(depth))


def read_avsbench_masks(folder: Path | str, subset: str, split: str = "test") -> MaskSet:
    """Find the masks under `gt_masks/<split>/` of `s4_data` or `ms3_data`.

    They stand in the order of `<subset>_meta_data.csv` in or beside that folder, videos that it does not list last.
    InputError when there are none, or two of a frame.
    """
    root = Path(folder) / "gt_masks" / split
    files = sorted(files_below(root, {".png"}), key=lambda file: (file.parent, _frame_number(file)))
    if not files:
        raise InputError(f"{root} holds no mask (*.png). Give the folder that contains gt_masks of AVSBench {subset}.")
    depth = _depth(subset)
    masks = by_key(((_key(PurePosixPath(file.with_suffix("").as_posix()), depth), file) for file in files), root)
    digest = sha256_of_all((key, read_content(file)) for key, file in masks.items())
    listed = next((found for found in _lists_of(Path(folder), subset) if has_file(found)), None)
    ordered = masks if listed is None else _in_order(masks, _listed_videos(read_content(listed), split))
    return MaskSet(f"avsbench_{subset}", ordered, str(root), digest)


def _lists_of(folder: Path, subset: str) -> tuple[Path, Path]:
    name = f"{subset}_meta_data.csv"
    return folder / name, Path(os.path.abspath(folder)).parent / name


def _listed_videos(content: Content, split: str) -> list[str]:
    """The videos of a split in file order, as in keys: the first column has their names, as released code reads it."""
    rows = content.rows()
    if not rows or "split" not in rows[0][1:]:
        raise InputError(
            f"{content.path} has no column split after the videos' names, so it does not say in which order AVSBench "
            "takes the masks beside it. Give the file as released, or take it away: masks then stand by folder."
        )
    column = rows[0].index("split", 1)
    return [safe_key(row[0]) for row in rows[1:] if len(row) > column and row[column].strip() == split]


def _in_order(masks: dict[str, Path], videos: list[str]) -> dict[str, Path]:
    place = {video: at for at, video in reversed(list(enumerate(videos)))}
    keys = sorted(masks, key=lambda key: place.get(key.split("/")[-2], len(videos)))
    return {key: masks[key] for key in keys}


def _depth(subset: str) -> int:
    if subset not in SUBSETS:
        raise InputError(f"There is no AVSBench subset {subset!r}. The known ones are {', '.join(SUBSETS)}.")
    return SUBSETS[subset]


def _key(image: PurePosixPath, depth: int) -> str:
    return "/".join(map(safe_key, "/".join(image.parts[-depth:]).replace(".mp4_", "_").split("/")))


def _names(depth: int) -> tuple[Callable[[PurePosixPath], str], Callable[[PurePosixPath], str | None]]:
    """How an image's path names its frame, and its category."""
    return partial(_key, depth=depth), partial(_category, depth=depth)


def _category(image: PurePosixPath, depth: int) -> str | None:
    return image.parts[-3] if depth == 3 and len(image.parts) > 2 else None


def _frame_number(file: Path) -> int:
    number = file.stem.rpartition("_")[2]
    if not (number.isascii() and number.isdecimal()) or len(number) > MOST_DIGITS:
        raise InputError(f"The mask {file} is not named <video>_<number>.png as AVSBench names its masks.")
    return int(number)


def _truth(path: Path, _wanted: IdList | None, subset: str | None = None) -> Truth:
    """A box file, a list of masks, or the folder of gt_masks; the subset is read off the path if it is not given."""
    subset = subset or _subset_named(path)
    if path.is_dir():
        masks = read_avsbench_masks(path, subset)
        labels = {key: key.split("/")[0] if subset == "s4" else None for key in masks.masks}
        annotations = tuple(Annotation(key, label, ()) for key, label in labels.items())
        test_set = TestSet(masks.name, annotations, masks.source, masks.sha256)
    elif holds_masks(path):
        test_set, masks = read_masks224(path, f"avsbench_{subset}", *_names(_depth(subset)), light_from=None)
    else:
        return Truth("avsbench", read_avsbench_boxes(path, subset), protocols=MEASURED)
    return Truth("avsbench", test_set, masks=masks, tasks=frozenset({SEGMENTATION, RETRIEVAL}), protocols=MEASURED)


def _subset_named(path: Path) -> str:
    named = {subset for part in path.parts[-3:] for subset in SUBSETS if subset in part.lower()}
    if len(named) != 1:
        raise InputError(f"{path} does not say which AVSBench subset it is. Give --format avsbench_s4 or avsbench_ms3.")
    return named.pop()


_format = partial(Format, video_of=video_of_frame_path)
FORMATS = {
    "avsbench": _format("AVSBench: a box file or the folder of gt_masks, the subset read off its name", _truth),
    "avsbench_s4": _format("AVSBench S4: s4_box.json or s4_data", partial(_truth, subset="s4")),
    "avsbench_ms3": _format("AVSBench MS3: ms3_box.json or ms3_data", partial(_truth, subset="ms3")),
}
