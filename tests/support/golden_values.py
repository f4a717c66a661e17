"""Golden values by name from two sources: the shipped ones, and those of the original code beside the repository.

"made" are our own inputs (`golden_inputs`) and what a plain reference says of them (`tests/golden`); "released" are the
outputs of the original evaluators in ../shared/golden. Both have the same names and the same form.
"""

import gzip
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import golden_enlarging
import golden_inputs as inputs
import golden_reference as reference
import golden_tasks as tasks
import listening_inputs
import numpy as np
import pytest
from places import GOLDEN, ROOT, needed

MADE = ROOT / "tests" / "golden"
SOURCES = ["made", "released"] if GOLDEN.is_dir() else ["made"]


def load(source: str, name: str) -> Any:
    """`load("made", "golden_edge.json")`: a file's content. The test skips where this source has none."""
    return _made(name) if source == "made" else _released(name)


@cache
def _released(name: str) -> Any:
    path = needed(GOLDEN / name)
    return np.load(path, allow_pickle=False) if path.suffix == ".npz" else json.loads(path.read_text())


@cache
def _made(name: str) -> Any:
    if name in ARRAYS:
        return ARRAYS[name]()
    path = MADE / f"{name}.gz"
    if not path.is_file():
        pytest.skip(f"there are no made values {name}; those of the original code are tested where ../shared is")
    return json.loads(gzip.decompress(path.read_bytes()))


def _maps() -> dict[str, np.ndarray]:
    """The maps, and the truth of the scenes as uint8."""
    scene = _made("golden_scene.json")
    vggss = [reference.vggss_truth(boxes) for boxes in scene["vggss_boxes_int"]]
    flickr = [2 * reference.flickr_truth(boxes) for boxes in scene["flickr_boxes_224"]]
    return inputs.maps() | {
        "vggss_gt": np.array(vggss, np.uint8),
        "flickr_gt_times2": np.array(flickr, np.uint8),
    }


def _retrieval() -> dict[str, np.ndarray]:
    arrays = inputs.retrieval()
    found = tasks.similarities(arrays["img"], arrays["aud"])
    return arrays | {f"sim_{name}": table.astype(np.float32) for name, table in found.items()}


def _enlarged() -> dict[str, np.ndarray]:
    arrays = inputs.maps()
    found = {
        name: golden_enlarging.enlarged(arrays[source][row]) for name, (source, row) in golden_enlarging.ROWS.items()
    }
    return {f"{name}_{what}": values for name, each in found.items() for what, values in each.items()}


ARRAYS: dict[str, Callable[[], dict[str, np.ndarray]]] = {
    "golden_maps.npz": _maps,
    "golden_extended_lists.npz": inputs.lists,
    "golden_retrieval.npz": _retrieval,
    "golden_avsbench_masks.npz": lambda: {"masks": inputs.frame_masks()},
    "golden_music.npz": inputs.music_mixtures,
    "golden_interp.npz": _enlarged,
    "golden_listening.npz": listening_inputs.arrays,
}
