"""The masks of SSLalignment (IS3, VPO-SS and VPO-MS, AVSBench): a grey image for each sound of an image.

Given is the folder that holds `gt_masks` or `gt_segmentation`, or a `*_seg.json` beside it: as a box file, with the
path of a mask for `gt_box`. The paths are absolute on the authors' machines, so only their tails count. Masks of IS3
and VPO are jpg: a pixel is of the object from grey value 128 on, as in the released evaluator.
"""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from manifests.annotations import Annotation, TestSet, read_name
from manifests.errors import InputError
from manifests.files.content import Content, read_content, sha256_of_all
from manifests.files.folders import by_key, files_below
from manifests.files.given import has_file
from manifests.files.spelling import as_on_disk
from manifests.readers.sslalignment_boxes import image_path
from manifests.test_sets import MaskSet

FOLDERS = ("gt_masks", "gt_segmentation")
SUFFIXES = (".jpg", ".jpeg", ".png")
LIGHT_FROM = 128
Name = Callable[[PurePosixPath], str]
Label = Callable[[PurePosixPath], str | None]


def holds_masks(path: Path) -> bool:
    """Whether this is a folder or list of masks, and no list of boxes."""
    return path.is_dir() or path.name.removesuffix(".gz").endswith("_seg.json")


def read_masks224(
    path: Path | str, name: str, key_of: Name, label_of: Label, light_from: int | None = LIGHT_FROM
) -> tuple[TestSet, MaskSet]:
    """Every mask by its image's key. InputError when there are none, two of one key, or one of the list is absent."""
    path = Path(path)
    files = _of_folder(path) if path.is_dir() else _of_list(read_content(path))
    masks = by_key(((key_of(image), file) for image, file in files), path)
    annotations = tuple(Annotation(key_of(image), label_of(image), ()) for image, _ in files)
    digest = sha256_of_all((key, read_content(file)) for key, file in masks.items())
    test_set = TestSet(name, annotations, str(path), digest)
    return test_set, MaskSet(name, masks, str(path), digest, light_from=light_from)


def _of_folder(path: Path) -> list[tuple[PurePosixPath, Path]]:
    roots = [path / name for name in FOLDERS if (path / name).is_dir()] or [path]
    files = files_below(roots[0], SUFFIXES)
    if not files:
        raise InputError(f"{path} holds no mask. Give the folder that contains {' or '.join(FOLDERS)}.")
    return [(PurePosixPath(file.with_suffix("").as_posix()), file) for file in files]


def _of_list(content: Content) -> list[tuple[PurePosixPath, Path]]:
    entries = content.json()
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{content.path} is JSON but not a list of frames. Give a *_seg.json file as released.")
    return [(image_path(entry, content), _mask(entry, content)) for entry in entries]


def _mask(entry: Any, content: Content) -> Path:
    """Where the mask of an entry lies, beside the list: by as much of its path as fits, the longest tail first."""
    parts = PurePosixPath(read_name(entry["gt_box"], f'{content.path}, "gt_box"')).parts
    lengths = range(min(len(parts), 6), 0, -1)
    tails = (as_on_disk(content.path.parent.joinpath(*parts[-length:])) for length in lengths)
    found = next((tail for tail in tails if ".." not in parts and has_file(tail)), None)
    if found is None:
        raise InputError(
            f"{content.path} names the mask {'/'.join(parts[-2:])}, which does not lie beside it. Put the list beside "
            f"the folder {parts[-2] if len(parts) > 1 else FOLDERS[0]}."
        )
    return found
