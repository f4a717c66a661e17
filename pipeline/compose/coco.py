"""Photographs as COCO annotates them: a json of images, categories, and objects with outlines or boxes."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from manifests.content import Content, read_content
from manifests.errors import InputError
from manifests.suffixes import IMAGE_SUFFIXES
from pipeline.compose.files import Rejection, files_below
from pipeline.compose.object_images import ObjectImage, Outline

KEYS = {"images", "annotations", "categories"}
Files = dict[str, list[Path]]
_BITS, _MORE, _SIGN, _OFFSET = 5, 0x20, 0x10, 48  # COCO's letters: five bits each, the sixth says that more follow


def find_coco(root: Path) -> tuple[list[ObjectImage], list[Rejection]] | None:
    """Every annotated object of every such json below the folder, and those that cannot be used; None without one.

    Crowds, which are no single object, are left out.
    """
    contents = [read_content(path) for path in files_below(root, {".json"}, "--pictures")]
    described = [(content, data) for content in contents if _keys(data := content.json()) >= KEYS]
    if not described:
        return None
    by_name: Files = defaultdict(list)
    for path in files_below(root, IMAGE_SUFFIXES, "--pictures"):
        by_name[path.name].append(path)
    found, bad = [], []
    for content, data in described:
        objects, missing = _objects(content, data, root, by_name)
        found += objects
        bad += [Rejection(name, "image", "not_found", f"{content.path} names it") for name in sorted(missing)]
    return found, bad


def _keys(data: Any) -> set[str]:
    return set(data) if isinstance(data, dict) else set()


def _objects(content: Content, data: dict[str, Any], root: Path, by_name: Files) -> tuple[list[ObjectImage], set[str]]:
    try:
        names = {category["id"]: str(category["name"]) for category in data["categories"]}
        files = {image["id"]: str(image["file_name"]) for image in data["images"]}
        single = [each for each in data["annotations"] if not each.get("iscrowd")]
        listed = [(files[each["image_id"]], names[each["category_id"]], _outline(each)) for each in single]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{content.path} looks like COCO's json but is none ({error!r}). Correct or remove it."
        ) from error
    places = {name: _place_of(name, by_name) for name in files.values()}
    found = [
        ObjectImage(path, label, path.relative_to(root).as_posix(), outline)
        for name, label, outline in listed
        if (path := places[name])
    ]
    return found, {name for name, _, _ in listed if places[name] is None}


def _place_of(name: str, by_name: Files) -> Path | None:
    """The image of that name, in that folder where the json names one that is there."""
    parts, found = Path(name).parts, by_name.get(Path(name).name, [])
    return next((path for path in found if path.parts[-len(parts) :] == parts), next(iter(found), None))


def _outline(annotation: dict[str, Any]) -> Outline:
    shape = annotation.get("segmentation")
    if isinstance(shape, dict):
        counts = shape["counts"]
        return Outline(runs=tuple(map(int, counts if isinstance(counts, list) else decoded_runs(counts))))
    polygons = tuple(tuple(map(float, points)) for points in shape or () if len(points) >= 6)
    if polygons:
        return Outline(polygons=polygons)
    x, y, width, height = map(float, annotation["bbox"])
    return Outline(box=(x, y, x + width, y + height))


def decoded_runs(text: str) -> list[int]:
    """Run lengths from COCO's compressed text: differences to the run before the last, from the fourth on."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - _OFFSET
        value |= (bits & (_MORE - 1)) << shift
        shift += _BITS
        if not bits & _MORE:
            value -= (1 << shift) if bits & _SIGN else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs
