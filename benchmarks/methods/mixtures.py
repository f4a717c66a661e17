"""Whether PixelPlayer learns what it is asked, to take sounds out of mixtures, and where its maps leave boxes.

    python -m benchmarks.methods.mixtures benchmarks/methods/cpu.json --work DIR

For every run of `pixelplayer` in the work folder of a comparison, on its heard test clips: by how many decibels a sound
taken out of a mixture of two clips is nearer to the clip's own than the mixture was, by the clip's own image, by that
of the other one and by one of a third; how much of the clip's own sound the cells on the sounding object, on a silent
one and elsewhere let pass; on what the highest cell lies, and what share of the image that is. Writes the figures'
name with `-mixtures` behind it.
"""

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import record, write
from benchmarks.methods.measure_run import HEARD, one_thread
from manifests.parquet import read_table
from manifests.splits import read_ids
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from training.data.beside import Beside
from training.data.views import decode_image, normalise_image, shown
from training.evaluation.boxes import box_mask
from training.runs import LoadedRun, load_run
from training.separation import distortion_ratio

TOGETHER = 32
PARTS = ("sounding", "silent", "elsewhere")
Boxes = dict[str, dict[bool, np.ndarray]]  # by clip, those of objects that sound and of those that do not


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


def passed(folder: Path, boxes: Boxes) -> dict[str, Any]:
    """Of clips with one object that sounds and one that does not: what cells let pass, and where the highest lies."""
    (path,) = (folder / "evaluation").glob("*-heard.maps.npz")
    with np.load(path) as arrays:
        maps = dict(zip(arrays["names"].tolist(), arrays["maps"], strict=True))
    shares, highest, areas = (defaultdict[str, list[float]](list) for _ in range(3))
    clips = [key for key in maps if all(len(boxes[key][sounding]) == 1 for sounding in (True, False))]
    louder = []
    for key in clips:
        cells = maps[key]
        covered = {name: _covered(boxes[key][name == "sounding"], cells.shape) for name in PARTS[:2]}
        covered["sounding"] *= 1 - covered["silent"]  # a cell of both tells nothing
        covered["silent"] *= 1 - _covered(boxes[key][True], cells.shape)
        covered["elsewhere"] = 1 - _covered(np.concatenate([boxes[key][True], boxes[key][False]]), cells.shape)
        for name, weights in covered.items():
            areas[name].append(float(weights.mean()))
            highest[name].append(float(weights.flat[cells.argmax()]))
            if weights.sum() > 0:
                shares[name].append(float((cells * weights).sum() / weights.sum()))
        if all(covered[name].sum() > 0 for name in PARTS[:2]):
            louder.append(shares["sounding"][-1] > shares["silent"][-1])
    return {
        "clips": len(clips),
        "sounding_above_silent": float(np.mean(louder)),
        **{f"passed_{name}": float(np.mean(each)) for name, each in shares.items()},
        **{f"highest_{name}": float(np.mean(each)) for name, each in highest.items()},
        **{f"area_{name}": float(np.mean(each)) for name, each in areas.items()},
    }


def _covered(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which share of each cell (h, w) boxes cover."""
    mask = torch.from_numpy(box_mask(boxes)).float()[None, None]
    return F.adaptive_avg_pool2d(mask, (shape[0], shape[1]))[0, 0].numpy()


def boxes_of_objects() -> Boxes:
    """Boxes (n, 4) of what is on the screen of each clip."""
    found: dict[str, dict[bool, list[list[float]]]] = defaultdict(lambda: {True: [], False: []})
    for row in read_table(Path("corpus/truth.parquet")).to_pylist():
        if row["on_screen"]:
            found[row["key"]][row["sounding"]].append([row[side] for side in ("x1", "y1", "x2", "y2")])
    return {key: {kind: np.array(each).reshape(-1, 4) for kind, each in own.items()} for key, own in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="of the comparison, whose runs are looked at")
    parser.add_argument("--work", type=Path, required=True, help="folder of the comparison")
    options = parser.parse_args()
    out = options.figures.with_name(f"{options.figures.stem}-mixtures.json").resolve()
    runs = [line["run"] for line in json.loads(options.figures.read_text())["runs"] if line["entry"] == "pixelplayer"]
    os.chdir(options.work)
    one_thread()
    store, boxes, keys = ShardStore.open("shards"), boxes_of_objects(), list(read_ids(HEARD).ids)
    rows = [{"run": run} | separation(load_run(run), store, keys) | passed(Path(run), boxes) for run in runs]
    write(out, record("benchmarks/methods/mixtures.py", ("torch", "numpy")) | {"rows": rows})
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
