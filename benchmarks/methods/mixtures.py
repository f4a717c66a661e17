"""Whether PixelPlayer learns what it is asked, to take sounds out of mixtures, and where its maps leave boxes.

    python -m benchmarks.methods.mixtures benchmarks/methods/cpu.json --work DIR

For every run of `pixelplayer`, and of what is like it, on the heard test clips of a comparison: by how many decibels a
sound taken out of a mixture of two clips is nearer to the clip's own than the mixture was, by the clip's own image, by
that of the other one and by one of a third; how much of the clip's own sound the cells on the sounding object, on a
silent one and elsewhere let pass; on what the highest cell lies, and what share of the image that is. Writes the
figures' name with `-mixtures` behind it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import record, write
from benchmarks.methods.left_runs import Boxes, begin, boxes_of_objects
from benchmarks.methods.measure_run import HEARD
from manifests.splits import read_ids
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from training.data.beside import Beside
from training.data.views import decode_image, normalise_image, shown
from training.evaluation.boxes import box_mask
from training.parts.separation import distortion_ratio
from training.runs import LoadedRun, load_run

TOGETHER = 32
PARTS = ("sounding", "silent", "elsewhere")


@torch.no_grad()
def separation(run: LoadedRun, store: ShardStore, keys: list[str]) -> dict[str, float]:
    """Mean decibels gained over the mixture by the right image, by the other one of the mixture, and by a third."""
    gained: dict[str, list[Tensor]] = defaultdict(list)
    for images, waveforms in _batches(run, store, keys):
        own, other = waveforms / 2, waveforms.roll(1, 0) / 2
        mixture = own + other
        before = distortion_ratio(mixture, own)
        seen = {"own_image": images, "other_image": images.roll(1, 0), "third_image": images.roll(2, 0)}
        for name, image in seen.items():
            found: Any = run.method
            gained[name].append(distortion_ratio(found.separated(image, mixture), own) - before)
    return {f"decibels_{name}": torch.cat(each).mean().item() for name, each in gained.items()}


def _batches(run: LoadedRun, store: ShardStore, keys: list[str]) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (B, 3, S, S) and waveforms (B, N); neighbours in a batch are of different classes where that can be."""
    beside, size = Beside(store, frozenset({"waveform"})), run.config.data.image_size
    rows = [store.row_of(key) for key in _alternating(store, keys)]
    for start in range(0, len(rows), TOGETHER):
        some = rows[start : start + TOGETHER]
        images = torch.stack([shown(store.decoded(row, FRAME, decode_image), size, "squash") for row in some])
        waveforms = torch.stack([beside.shown(row, "squash", size)["waveform"] for row in some])
        yield normalise_image(images), waveforms


def _alternating(store: ShardStore, keys: list[str]) -> list[str]:
    """The keys in turns of their labels."""
    labels, place = dict(zip(store.keys, store.table["label"].to_pylist(), strict=True)), defaultdict[str, int](int)
    turn = {}
    for key in sorted(keys):
        turn[key] = place[labels[key]]
        place[labels[key]] += 1
    return sorted(keys, key=lambda key: (turn[key], labels[key]))


def passed(folder: Path, boxes: Boxes) -> dict[str, float]:
    """Of clips with one object that sounds and one that does not: what cells let pass, and where the highest lies."""
    (path,) = (folder / "evaluation").glob("*-heard.maps.npz")
    with np.load(path) as arrays:
        maps = dict(zip(arrays["names"].tolist(), arrays["maps"], strict=True))
    clips = [key for key in maps if all(len(boxes[key][sounding]) == 1 for sounding in (True, False))]
    found = [_of_clip(maps[key], parts_of(boxes[key], maps[key].shape)) for key in clips]
    known = {name: [one[name] for one in found if name in one] for name in sorted(set().union(*found))}
    return {"clips": len(clips)} | {name: float(np.mean(values)) for name, values in known.items()}


def parts_of(boxes: dict[bool, np.ndarray], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Which share of each cell (h, w) is of the object that sounds, of the other one and of neither."""
    sounding, silent = _covered(boxes[True], shape), _covered(boxes[False], shape)
    both = _covered(np.concatenate([boxes[True], boxes[False]]), shape)
    return dict(zip(PARTS, (sounding * (1 - silent), silent * (1 - sounding), 1 - both), strict=True))


def _of_clip(cells: np.ndarray, parts: dict[str, np.ndarray]) -> dict[str, float]:
    """Means of a map (h, w) over the parts that are there, whether its highest cell lies on each, and their areas."""
    there = {name: weights for name, weights in parts.items() if weights.sum() > 0}
    means = {f"passed_{name}": float((cells * one).sum() / one.sum()) for name, one in there.items()}
    highest = {f"highest_{name}": float(one.flat[cells.argmax()]) for name, one in parts.items()}
    areas = {f"area_{name}": float(one.mean()) for name, one in parts.items()}
    first, second = (f"passed_{name}" for name in PARTS[:2])
    if first in means and second in means:
        means["sounding_above_silent"] = float(means[first] > means[second])
    return means | highest | areas


def _covered(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which share of each cell (h, w) boxes cover."""
    mask = torch.from_numpy(box_mask(boxes)).float()[None, None]
    return F.adaptive_avg_pool2d(mask, (shape[0], shape[1]))[0, 0].numpy()


def main() -> None:
    figures, out = begin(__doc__, "mixtures")
    lines = json.loads(figures.read_text())["runs"]
    runs = [line["run"] for line in lines if line["entry"].startswith("pixelplayer")]
    store, boxes, keys = ShardStore.open("shards"), boxes_of_objects(), list(read_ids(HEARD).ids)
    rows = [{"run": run} | separation(load_run(run), store, keys) | passed(Path(run), boxes) for run in runs]
    write(out, record("benchmarks/methods/mixtures.py", ("torch", "numpy")) | {"rows": rows})
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
