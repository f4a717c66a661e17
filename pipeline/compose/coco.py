"""Photographs as COCO annotates them: a json of images, categories, and objects with outlines or boxes."""

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from manifests.content import Content, read_content
from manifests.errors import InputError
from manifests.given_files import reason, shortened
from manifests.plain_data import whole_or_nan
from manifests.suffixes import IMAGE_SUFFIXES
from pipeline.compose.files import Rejection, files_below
from pipeline.compose.object_images import ObjectImage, Outline

KEYS = {"images", "annotations", "categories"}
Files = dict[str, list[Path]]
_BITS, _MORE, _SIGN, _OFFSET = 5, 0x20, 0x10, 48  # COCO's letters: five bits each, the sixth says that more follow


def find_coco(root: Path) -> tuple[list[ObjectImage], list[Rejection]] | None:
    """Every annotated object of every such json below the folder, and those that cannot be used; None without one.

    Crowds are no single object, and cannot be used.
    """
    contents = [read_content(path) for path in files_below(root, {".json"}, "--pictures")]
    described = [(content, data) for content in contents if _keys(data := content.json(whole_or_nan)) >= KEYS]
    if not described:
        return None
    by_name: Files = defaultdict(list)
    for path in files_below(root, IMAGE_SUFFIXES, "--pictures"):
        by_name[path.name].append(path)
    found, bad = [], []
    for content, data in described:
        objects, unusable = _objects(content, data, root, by_name)
        found += objects
        bad += unusable
    return found, bad


def _keys(data: Any) -> set[str]:
    return set(data) if isinstance(data, dict) else set()


def _objects(
    content: Content, data: dict[str, Any], root: Path, by_name: Files
) -> tuple[list[ObjectImage], list[Rejection]]:
    labels, files, annotations = _lists(content, data)
    places = {name: _place_of(name, by_name) for name in files.values()}
    found, bad, missing = [], [], set()
    for number, each in enumerate(annotations):
        try:
            name, label = _listed(each, "image_id", files), _listed(each, "category_id", labels)
            crowd, path = bool(each.get("iscrowd")), places[name]
            outline = None if crowd or path is None else _outline(each)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            bad.append(_rejection(content, number, each, "bad_annotation", f"cannot be used: {reason(error)}"))
            continue
        if crowd:
            bad.append(_rejection(content, number, each, "crowd", f"is of a crowd in {name}"))
        elif path is None:
            missing.add(name)
        elif outline is not None:
            found.append(ObjectImage(path, label, path.relative_to(root).as_posix(), outline))
    return found, bad + [Rejection(name, "image", "not_found", f"{content.path} names it") for name in sorted(missing)]


def _lists(content: Content, data: dict[str, Any]) -> tuple[dict[Any, str], dict[Any, str], list[Any]]:
    """Names of classes and of image files by their ids, and the annotations."""
    try:
        names = {category["id"]: str(category["name"]) for category in data["categories"]}
        files = {image["id"]: str(image["file_name"]) for image in data["images"]}
        return names, files, list(data["annotations"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{content.path} looks like COCO's json but is none ({reason(error)}). Correct or remove it."
        ) from error


def _listed(annotation: dict[str, Any], key: str, names: dict[Any, str]) -> str:
    if annotation[key] not in names:
        raise ValueError(f"its {key} {annotation[key]!r} is not listed")
    return names[annotation[key]]


def _rejection(content: Content, number: int, annotation: Any, why: str, said: str) -> Rejection:
    """Of the annotation at that place in the json, counted from 0; its id is told where it has one."""
    told = annotation.get("id") if isinstance(annotation, dict) else None
    return Rejection(str(content.path), "image", why, f"annotation {number} (id {shortened(str(told), 40)}) {said}")


def _place_of(name: str, by_name: Files) -> Path | None:
    """The image of that name, in that folder where the json names one that is there."""
    parts, found = Path(name).parts, by_name.get(Path(name).name, [])
    return next((path for path in found if path.parts[-len(parts) :] == parts), next(iter(found), None))


def _outline(annotation: dict[str, Any]) -> Outline:
    shape = annotation.get("segmentation")
    if isinstance(shape, dict):
        counts = shape["counts"]
        return Outline(runs=tuple(map(int, counts if isinstance(counts, list) else decoded_runs(counts))))
    polygons = tuple(_numbers(points) for points in shape or () if len(points) >= 6)
    if any(len(points) % 2 for points in polygons):
        raise ValueError("its outline has an x without a y")
    if polygons:
        return Outline(polygons=polygons)
    x, y, width, height = _numbers(annotation["bbox"])
    return Outline(box=(x, y, x + width, y + height))


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    numbers = tuple(map(float, values))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("its outline holds a number that is not finite")
    return numbers


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
