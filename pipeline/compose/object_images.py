"""Images of labelled objects: cut-outs with transparency, or photographs with masks or boxes, in folders of classes.

`voc` and `coco` read those layouts. In folders a mask is `<name>_mask.png` beside the photograph, or lies under the
photograph's name in a folder of masks of the same class; boxes stand in a csv with the columns file and x1, y1, x2, y2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from manifests.suffixes import IMAGE_SUFFIXES
from pipeline.compose.catalogue import absent, is_of_collection, read_catalogue, source_of
from pipeline.compose.files import (
    KIND_WORDS,
    Rejection,
    class_by_folder,
    files_below,
    in_background_folder,
    spelled_alike,
)

MASK_FOLDERS = {name for name in KIND_WORDS if "mask" in name or "segmentation" in name}
MASK_ENDINGS = ("_mask", "-mask", ".mask")
Points = tuple[float, ...]


@dataclass(frozen=True)
class Outline:
    """Where the object is in its image. Nothing set: where the image is not transparent.

    box: x1, y1, x2, y2, pixels, or shares of the frame if none is above 1. mask: a file; `index`: the object's value in
    it, None for all that is not background. polygons: x, y, x, y, ... in pixels. runs: lengths of pixels outside
    and inside in turn, column by column.
    """

    box: tuple[float, float, float, float] | None = None
    mask: Path | None = None
    index: int | None = None
    polygons: tuple[Points, ...] = ()
    runs: tuple[int, ...] = ()


@dataclass(frozen=True)
class ObjectImage:
    """One object in an image file. `source`: the photograph it was cut from, or with `of_collection` what it has in
    common with other photographs."""

    path: Path
    label: str
    source: str
    outline: Outline = Outline()
    of_collection: bool = False


def find_in_folders(root: Path, backgrounds: Path | None = None) -> tuple[list[ObjectImage], list[Rejection]]:
    """Every object whose class is known, images whose class is not, and images that are listed but not there.
    `backgrounds`: a folder below the root, resolved, whose images are none of these."""
    catalogue = read_catalogue(root)
    images = files_below(root, IMAGE_SUFFIXES, "--pictures")
    paths = [path for path in images if not in_background_folder(path, root, backgrounds)]
    masks = {_photograph_of(path, root): path for path in paths if is_mask(path, root)}
    found, unknown = [], absent(catalogue, root, images, "image", IMAGE_SUFFIXES)
    for path in paths:
        if is_mask(path, root):
            continue
        folder = class_by_folder(path, root)
        for entry in catalogue.find(path.absolute()) or [None]:
            label = folder if entry is None or not entry.labels else entry.labels[0]
            if label is None:
                unknown.append(Rejection(str(path), "image", "no_class", "no folder and no list names its class"))
                continue
            outline = Outline(box=entry.box if entry else None, mask=_mask_of(path, root, masks))
            source = source_of(path, entry, root)
            found.append(ObjectImage(path, label, source, outline, is_of_collection(entry)))
    return found, unknown


def is_mask(path: Path, root: Path) -> bool:
    """Whether a file's folders or its ending call it a mask."""
    folders = {part.lower() for part in path.relative_to(root).parts[:-1]}
    return bool(folders & MASK_FOLDERS) or path.stem.lower().endswith(MASK_ENDINGS)


def _photograph_of(mask: Path, root: Path) -> tuple[str, str]:
    """Class and stem of the photograph that a mask belongs to."""
    stem = next((mask.stem[: -len(end)] for end in MASK_ENDINGS if mask.stem.lower().endswith(end)), mask.stem)
    return spelled_alike(class_by_folder(mask, root) or ""), stem


def _mask_of(path: Path, root: Path, masks: Mapping[tuple[str, str], Path]) -> Path | None:
    return masks.get((spelled_alike(class_by_folder(path, root) or ""), path.stem))
