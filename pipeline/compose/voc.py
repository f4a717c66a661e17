"""Photographs as Pascal VOC lays them out: `Annotations/<name>.xml` with boxes, `SegmentationObject/<name>.png`."""

from pathlib import Path
from xml.etree import ElementTree

from manifests.given_files import read_bytes
from pipeline.compose.files import Rejection, files_below
from pipeline.compose.object_images import ObjectImage, Outline

ANNOTATIONS, IMAGES, OBJECTS = "Annotations", "JPEGImages", "SegmentationObject"


def find_voc(root: Path) -> tuple[list[ObjectImage], list[Rejection]] | None:
    """Every annotated object, and annotations that cannot be used; None when this is no such layout."""
    files = [path for path in files_below(root, {".xml"}, "--pictures") if path.parent.name == ANNOTATIONS]
    if not files:
        return None
    found, bad = [], []
    for path in files:
        try:
            found += _objects(path, root)
        except (ElementTree.ParseError, OSError, ValueError) as error:
            bad.append(Rejection(str(path), "image", "unreadable", f"it is no annotation of VOC: {error}"))
    return found, bad


def _objects(path: Path, root: Path) -> list[ObjectImage]:
    """The objects of one annotation. ValueError when something that is needed is missing."""
    tree, home = ElementTree.fromstring(read_bytes(path)), path.parents[1]
    image = home / IMAGES / (tree.findtext("filename") or f"{path.stem}.jpg").strip()
    mask = home / OBJECTS / f"{path.stem}.png"
    objects = []
    for number, each in enumerate(tree.iter("object"), start=1):
        label, bounds = each.findtext("name"), each.find("bndbox")
        if not label or bounds is None:
            raise ValueError(f"object {number} has no name or no box")
        x1, y1, x2, y2 = (float(bounds.findtext(name) or "") for name in ("xmin", "ymin", "xmax", "ymax"))
        box = (x1 - 1, y1 - 1, x2, y2)  # pixels are counted from 1 on
        outline = Outline(box, mask, number) if mask.is_file() else Outline(box)
        objects.append(ObjectImage(image, label.strip(), image.relative_to(root).as_posix(), outline))
    return objects
