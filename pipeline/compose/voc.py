"""Photographs as Pascal VOC lays them out: `Annotations/<name>.xml` with boxes, `SegmentationObject/<name>.png`."""

from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from manifests.errors import InputError
from manifests.files.given import read_bytes, shortened, understood
from manifests.files.spelling import as_on_disk
from pipeline.compose.files import Rejection, Unusable, files_below
from pipeline.compose.object_images import ObjectImage, Outline

ANNOTATIONS, IMAGES, OBJECTS = "Annotations", "JPEGImages", "SegmentationObject"
Box = tuple[float, float, float, float]


def find_voc(root: Path) -> tuple[list[ObjectImage], list[Rejection]] | None:
    """Every annotated object, and annotations that cannot be used; None when this is no such layout."""
    files = [path for path in files_below(root, {".xml"}, "--pictures") if path.parent.name == ANNOTATIONS]
    if not files:
        return None
    found, bad = [], []
    for path in files:
        try:
            found += _objects(path, root)
        except Unusable as error:
            bad.append(Rejection(str(path), "image", error.reason, error.message))
    return found, bad


def _objects(path: Path, root: Path) -> list[ObjectImage]:
    """The objects of one annotation. Raises Unusable."""
    try:
        with understood(path, "is no annotation of VOC"):
            tree = ElementTree.fromstring(read_bytes(path))
            name = (tree.findtext("filename") or f"{path.stem}.jpg").strip()
            described = _described(tree)
    except InputError as error:
        raise Unusable("unreadable", str(error)) from error
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise Unusable("leads_out", f"it names the image {shortened(name, 80)}, which leads out of {IMAGES}")
    image = as_on_disk(path.parents[1] / IMAGES / name)
    mask = as_on_disk(path.parents[1] / OBJECTS / f"{path.stem}.png")
    source, masked = image.relative_to(root).as_posix(), mask.is_file()
    return [
        ObjectImage(image, label, source, Outline(box, mask, number) if masked else Outline(box))
        for number, (label, box) in enumerate(described, start=1)
    ]


def _described(tree: ElementTree.Element) -> list[tuple[str, Box]]:
    """Class and box of every object. ValueError when something that is needed is missing."""
    found = []
    for number, each in enumerate(tree.iter("object"), start=1):
        label, bounds = each.findtext("name"), each.find("bndbox")
        if not label or bounds is None:
            raise ValueError(f"object {number} has no name or no box")
        x1, y1, x2, y2 = (float(bounds.findtext(name) or "") for name in ("xmin", "ymin", "xmax", "ymax"))
        found.append((label.strip(), (x1 - 1, y1 - 1, x2, y2)))  # pixels are counted from 1 on
    return found
