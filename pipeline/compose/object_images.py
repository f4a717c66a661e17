"""Images of labelled objects: cut-outs with transparency, or photographs with masks or boxes, in folders of classes.

`voc` and `coco` read those layouts. In folders `mask_files` finds the masks; boxes stand in a csv with the columns file
and x1, y1, x2, y2.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from manifests.files.suffixes import IMAGE_SUFFIXES
from pipeline.compose.catalogue import Entry, is_of_collection, source_of
from pipeline.compose.files import Rejection, class_by_folder, files_below, in_background_folder, spelled_alike
from pipeline.compose.listed import read_listed
from pipeline.compose.mask_files import find_masks, is_mask

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
    images = files_below(root, IMAGE_SUFFIXES, "--pictures")
    material = [path for path in images if not in_background_folder(path, root, backgrounds)]
    masks = find_masks(material, root)
    listed = read_listed(root, [path for path in material if not is_mask(path, root)], "image", IMAGE_SUFFIXES)
    found, unknown = [], list(listed.rejected)
    for path, entries in listed.entries.items():
        folder = class_by_folder(path, root)
        labelled = [(entry, entry.labels[0] if entry and entry.labels else folder) for entry in entries or [None]]
        if path in masks.rejected:
            unknown.append(masks.rejected[path])
            continue
        if several := _of_one_object(labelled):
            said = f"lists say of the same object in it that it is {' and '.join(several)}"
            unknown.append(Rejection(str(path), "image", "several_classes", said))
            continue
        for entry, label in labelled:
            if label is None:
                unknown.append(Rejection(str(path), "image", "no_class", "no folder and no list names its class"))
                continue
            outline = Outline(box=entry.box if entry else None, mask=masks.of.get(path))
            found.append(ObjectImage(path, label, source_of(path, entry, root), outline, is_of_collection(entry)))
    return found, unknown


def _of_one_object(labelled: Iterable[tuple[Entry | None, str | None]]) -> list[str]:
    """Two classes or more of the same box, or of the same image without one; none where all differ as they may."""
    classes: dict[object, dict[str, str]] = defaultdict(dict)
    for entry, label in labelled:
        if label is not None:
            classes[entry and entry.box][spelled_alike(label)] = label
    return next((sorted(labels.values()) for labels in classes.values() if len(labels) > 1), [])
