"""IS3 and VPO: composite images with one box or mask per sounding object (SSLalignment, interactive localization).

An IS3 name is `<object>_<object>_<id>_<target>`: one image appears once per target, 6,480 entries for 3,240 images.
The target need not equal an object literally (babylaughter -> baby). IS3_annotation.json comes with the images and was
not at hand. Its README says that it holds a box and a category for each sound; vssl_eval's loader reads a list with
"image" and "audio" in every entry, but takes boxes from `synthetic3240_bbox.json` and classes from a file of its own.
So it is read like that file, with the class in "category" where there is one; what it calls both is not confirmed.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from manifests.annotations import TestSet
from manifests.keys import clip_key
from manifests.readers.sslalignment_boxes import read_boxes224
from manifests.readers.sslalignment_masks import holds_masks, read_masks224
from manifests.splits import IdList
from manifests.test_sets import INTERACTIVE, LOCALIZATION, RETRIEVAL, SEGMENTATION, Format, Truth

MEASURED_ON_MASKS = ("adaptive_masks",)


def read_is3(path: Path | str) -> TestSet:
    """Read `synthetic3240_bbox.json` or `IS3_annotation.json`; keys are file stems, the label is the entry's category,
    or the target (the last `_` token) where it has none."""
    return read_boxes224(path, "is3", _key, _target)


def read_vpo(path: Path | str) -> TestSet:
    """Read `vpo_ss_bbox.json` or `vpo_ms_bbox.json`; keys are file stems, classes are not given."""
    return read_boxes224(path, "vpo", _key, lambda image: None)


def _key(image: PurePosixPath) -> str:
    return clip_key(image.name)


def _target(image: PurePosixPath) -> str:
    return image.name.rpartition("_")[2]


def _is3(path: Path, _wanted: IdList | None) -> Truth:
    if holds_masks(path):
        return _of_masks(path, "is3", _target)
    return Truth("is3", read_is3(path), tasks=frozenset({LOCALIZATION, INTERACTIVE, RETRIEVAL}))


def _vpo(path: Path, _wanted: IdList | None) -> Truth:
    if holds_masks(path):
        return _of_masks(path, "vpo", lambda image: None)
    truth = Truth("vpo", read_vpo(path), protocols=("kaist", "adaptive"))
    return replace(truth, tasks=truth.tasks | {INTERACTIVE})


def _of_masks(path: Path, name: str, label_of: Callable[[PurePosixPath], str | None]) -> Truth:
    test_set, masks = read_masks224(path, name, _key, label_of)
    tasks = frozenset({SEGMENTATION, INTERACTIVE, RETRIEVAL})
    return Truth(name, test_set, masks=masks, tasks=tasks, protocols=MEASURED_ON_MASKS)


FORMATS = {
    "is3": Format("IS3: synthetic3240_bbox.json, its _seg.json, IS3_annotation.json or the folder of masks", _is3),
    "vpo": Format("VPO: vpo_ss_bbox.json or vpo_ms_bbox.json, or their _seg.json or folder of masks", _vpo),
}
