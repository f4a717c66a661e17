"""The box files of SSLalignment (AVSBench S4 and MS3, IS3, VPO): JSON lists on a 224 x 224 canvas.

Entries are {"image": path, "audio": path, "gt_box": [x1, y1, x2, y2]}; the paths are absolute on the authors' machines,
so only their tails identify a frame. The box [0, 0, 0, 0] says that nothing visible sounds and is read as no box: such
frames cannot be won by any map, and evaluation counts them. S4 and MS3 files give the last pixel (at most 223) where
IS3 and VPO give the end (at most 224); the released evaluator treats them alike, and so does this reader. An entry that
says its "category", as those of IS3_annotation.json do, is of that class.
"""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from manifests.annotations import Annotation, TestSet, make_test_set, pixel_fraction, read_box, read_name
from manifests.errors import InputError
from manifests.files.content import Content, read_content

CANVAS = 224
NOTHING = (0.0, 0.0, 0.0, 0.0)


def read_boxes224(
    path: Path | str,
    name: str,
    key_of: Callable[[PurePosixPath], str],
    label_of: Callable[[PurePosixPath], str | None],
) -> TestSet:
    """Read a box file; `key_of` and `label_of` say how an image path (suffix removed) names the frame and its class."""
    content = read_content(path)
    entries = content.json()
    if not isinstance(entries, list):
        raise InputError(f"{path} is JSON but not a list of frames. Give a *_box.json file as released.")
    return make_test_set(name, (_annotation(entry, content, key_of, label_of) for entry in entries), content)


def image_path(entry: Any, content: Content) -> PurePosixPath:
    """The entry's image path without its suffix; InputError when there is none."""
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str) or "gt_box" not in entry:
        raise InputError(f'{content.path} has the entry {str(entry)[:80]} without "image" or "gt_box".')
    return PurePosixPath(read_name(entry["image"], f'{content.path}, "image"')).with_suffix("")


def _annotation(
    entry: Any,
    content: Content,
    key_of: Callable[[PurePosixPath], str],
    label_of: Callable[[PurePosixPath], str | None],
) -> Annotation:
    image = image_path(entry, content)
    pixels = read_box(entry["gt_box"], f"{content.path}, {image},")
    x1, y1, x2, y2 = (pixel_fraction(value, CANVAS) for value in pixels)
    label = _category(entry["category"], content) if "category" in entry else label_of(image)
    return Annotation(key_of(image), label, () if pixels == NOTHING else ((x1, y1, x2, y2),))


def _category(given: Any, content: Content) -> str:
    if not isinstance(given, str) or not given.strip():
        raise InputError(f'{content.path} has the "category" {str(given)[:80]!r}. Give a name, or leave the entry out.')
    return given.strip()
