"""IS3 and VPO: composite images with one box per sounding object (SSLalignment, interactive localization).

An IS3 name is `<object>_<object>_<id>_<target>`: one image appears once per target, 6,480 entries for 3,240 images.
The target need not equal an object literally (babylaughter -> baby).
"""

from pathlib import Path

from manifests.annotations import TestSet
from manifests.keys import clip_key
from manifests.readers.sslalignment_boxes import read_boxes224


def read_is3(path: Path | str, name: str = "is3") -> TestSet:
    """Read `synthetic3240_bbox.json`; keys are file stems, the label is the target (the last `_` token)."""
    return read_boxes224(path, name, lambda image: clip_key(image.name), lambda image: image.name.rpartition("_")[2])


def read_vpo(path: Path | str, name: str = "vpo") -> TestSet:
    """Read `vpo_ss_bbox.json` or `vpo_ms_bbox.json`; keys are file stems, classes are not given."""
    return read_boxes224(path, name, lambda image: clip_key(image.name), lambda image: None)
