"""IS3 and VPO: composite images with one box per sounding object (SSLalignment, interactive localization).

An IS3 name is `<object>_<object>_<id>_<target>`: one image appears once per target, 6,480 entries for 3,240 images.
The target need not equal an object literally (babylaughter -> baby).
"""

from dataclasses import replace
from pathlib import Path

from manifests.annotations import TestSet
from manifests.keys import clip_key
from manifests.readers.sslalignment_boxes import read_boxes224
from manifests.splits import IdList
from manifests.test_sets import INTERACTIVE, LOCALIZATION, RETRIEVAL, Format, Truth


def read_is3(path: Path | str, name: str = "is3") -> TestSet:
    """Read `synthetic3240_bbox.json`; keys are file stems, the label is the target (the last `_` token)."""
    return read_boxes224(path, name, lambda image: clip_key(image.name), lambda image: image.name.rpartition("_")[2])


def read_vpo(path: Path | str, name: str = "vpo") -> TestSet:
    """Read `vpo_ss_bbox.json` or `vpo_ms_bbox.json`; keys are file stems, classes are not given."""
    return read_boxes224(path, name, lambda image: clip_key(image.name), lambda image: None)


def _is3(path: Path, _wanted: IdList | None) -> Truth:
    return Truth("is3", read_is3(path), tasks=frozenset({LOCALIZATION, INTERACTIVE, RETRIEVAL}))


def _vpo(path: Path, _wanted: IdList | None) -> Truth:
    truth = Truth("vpo", read_vpo(path), protocols=("kaist", "adaptive"))
    return replace(truth, tasks=truth.tasks | {INTERACTIVE})


FORMATS = {
    "is3": Format("IS3: synthetic3240_bbox.json, images under several sounds", _is3),
    "vpo": Format("VPO: vpo_ss_bbox.json or vpo_ms_bbox.json", _vpo),
}
