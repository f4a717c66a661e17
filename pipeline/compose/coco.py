"""Photographs as COCO annotates them: a json of images, categories, and objects with outlines or boxes."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.content import Content, read_content
from manifests.files.given import reason, shortened
from manifests.files.plain_data import whole_or_nan
from manifests.files.suffixes import IMAGE_SUFFIXES
from pipeline.compose.files import Rejection, files_below
from pipeline.compose.named_files import NamedFiles, Unclear, parts_of
from pipeline.compose.object_images import ObjectImage, Outline

KEYS = {"images", "annotations", "categories"}
_BITS, _MORE, _SIGN, _OFFSET = 5, 0x20, 0x10, 48  # COCO's letters: five bits each, the sixth says that more follow


def find_coco(root: Path, material: Collection[Path]) -> tuple[list[ObjectImage], list[Rejection]] | None:
    """Every annotated object of every such json below the folder, and those that cannot be used; None without one.

    `material`: the images that are neither masks nor backgrounds, which a name is taken for where others fit it, too.
    Crowds are no single object, and cannot be used.
    """
    contents = [read_content(path) for path in files_below(root, {".json"}, "--pictures")]
    described = [(content, data) for content in contents if _keys(data := content.json(whole_or_nan)) >= KEYS]
    if not described:
        return None
    images, plain = NamedFiles(root, files_below(root, IMAGE_SUFFIXES, "--pictures")), set(material)
    found, bad, unclear = [], [], []
    for content, data in described:
        given = _given(content, data)
        meant = images.meant(map(parts_of, given.files.values()), content.path)
        fitting = {name: meant[parts_of(name)] for name in given.files.values()}
        fitting = {name: [path for path in each if path in plain] or each for name, each in fitting.items()}
        objects, unusable, several = _objects(given, root, fitting)
        found += objects
        bad += unusable
        unclear += several
    told = [each.rejections("image", {item.path for item in found}) for each in unclear]
    files = {path: rejection for by_file, _ in told for path, rejection in by_file.items()}
    return found, [*bad, *files.values(), *chain.from_iterable(names for _, names in told)]


def _keys(data: Any) -> set[str]:
    return set(data) if isinstance(data, dict) else set()


@dataclass(frozen=True)
class _Given:
    """What a json gives: names of classes and of image files by their ids, and the annotations."""

    content: Content
    labels: dict[Any, str]
    files: dict[Any, str]
    annotations: list[Any]


def _given(content: Content, data: dict[str, Any]) -> _Given:
    try:
        names = {category["id"]: str(category["name"]) for category in data["categories"]}
        files = {image["id"]: str(image["file_name"]) for image in data["images"]}
        return _Given(content, names, files, list(data["annotations"]))
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{content.path} looks like COCO's json but is none ({reason(error)}). Correct or remove it."
        ) from error


def _objects(
    given: _Given, root: Path, fitting: Mapping[str, Sequence[Path]]
) -> tuple[list[ObjectImage], list[Rejection], list[Unclear]]:
    """`fitting`: the images that each name in the json fits."""
    found, bad, missing, unclear, source = [], [], set(), {}, given.content
    for number, each in enumerate(given.annotations):
        try:
            name, label = _listed(each, "image_id", given.files), _listed(each, "category_id", given.labels)
            crowd, paths = bool(each.get("iscrowd")), fitting[name]
            outline = None if crowd or len(paths) != 1 else _outline(each)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            bad.append(_rejection(source, number, each, "bad_annotation", f"cannot be used: {reason(error)}"))
            continue
        if crowd:
            bad.append(_rejection(source, number, each, "crowd", f"is of a crowd in {name}"))
        elif not paths:
            missing.add(name)
        elif outline is None:
            unclear[name] = Unclear(parts_of(name), source.path, paths)
        else:
            found.append(ObjectImage(paths[0], label, paths[0].relative_to(root).as_posix(), outline))
    bad += [Rejection(name, "image", "not_found", f"{source.path} names it") for name in sorted(missing)]
    return found, bad, list(unclear.values())


def _listed(annotation: dict[str, Any], key: str, names: dict[Any, str]) -> str:
    if annotation[key] not in names:
        raise ValueError(f"its {key} {annotation[key]!r} is not listed")
    return names[annotation[key]]


def _rejection(content: Content, number: int, annotation: Any, why: str, said: str) -> Rejection:
    """Of the annotation at that place in the json, counted from 0; its id is told where it has one."""
    told = annotation.get("id") if isinstance(annotation, dict) else None
    return Rejection(str(content.path), "image", why, f"annotation {number} (id {shortened(str(told), 40)}) {said}")


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
