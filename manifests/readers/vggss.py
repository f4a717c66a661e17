"""VGG-SS annotations: `vggss.json`, the test set most of the field reports.

A JSON list of {"file", "class", "bbox"}, boxes as fractions x1, y1, x2, y2 of the whole (squashed) frame. The released
file has 5,158 clips and 5,941 boxes, 12 of them with an uninitialised corner (-2.88e16).
"""

from pathlib import Path
from typing import Any

from manifests.annotations import Annotation, TestSet, make_test_set, read_box, read_label, read_name
from manifests.errors import InputError
from manifests.files.content import Content, read_content
from manifests.splits import IdList
from manifests.test_sets import Format, Truth


def read_vggss(path: Path | str, name: str = "vggss") -> TestSet:
    """Read a VGG-SS json (also gzipped); keys are canonical. InputError names the entry that cannot be understood."""
    content = read_content(path)
    entries = content.json()
    if not isinstance(entries, list):
        raise InputError(f"{path} is JSON but not a list of clips. Give vggss.json as released with VGG-SS.")
    return make_test_set(name, (_annotation(entry, number, content) for number, entry in enumerate(entries)), content)


def _annotation(entry: Any, number: int, content: Content) -> Annotation:
    where = f"{content.path}, entry {number},"
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str) or not isinstance(entry.get("bbox"), list):
        raise InputError(f'{where} lacks "file" or "bbox". Give vggss.json as released with VGG-SS.')
    name = read_name(entry["file"], f'{where} "file"')
    boxes = tuple(read_box(box, f"{where} {name},") for box in entry["bbox"])
    return Annotation.named(name, read_label(entry.get("class"), where), boxes)


def _truth(path: Path, _wanted: IdList | None) -> Truth:
    return Truth("vggss", read_vggss(path))


FORMATS = {"vggss": Format("VGG-SS: vggss.json, boxes of clips", _truth)}
