"""Where maps are highest: on what sounds, on an object that is silent, or on neither.

    python -m benchmarks.methods.peaks benchmarks/methods/surroundings.json --work DIR

cIoU asks for the extent of what sounds as well; the highest cell alone says whether a method has found it. Of the heard
test clips, by method and ablation, mean over seeds and each seed's, with what does not hear beside it. Writes the
figures' name with `-peaks` behind it. Of runs that are not in the work folder, what that file says already stays, and
is named.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.measure import record, write
from benchmarks.methods.left_runs import MAPS, Boxes, begin, boxes_of_objects, maps_of
from training.evaluation.boxes import box_mask

PLACES = ("sounding", "silent", "elsewhere")


def shares(folder: Path, boxes: Boxes, kind: str = "maps") -> dict[str, float]:
    """Of the heard test clips, the share whose map of a run (`maps`, or `object_maps`) is highest at each place."""
    with np.load(maps_of(folder)) as stored:
        where = [place(one, boxes[key]) for key, one in zip(stored["names"].tolist(), stored[kind], strict=True)]
    return {each: where.count(each) / len(where) for each in PLACES}


def floors(folder: Path, boxes: Boxes) -> dict[str, dict[str, float]]:
    """The same of what does not hear: the image's middle, one cell at random, and the object prior of a run."""
    with np.load(maps_of(folder)) as stored:
        keys = stored["names"].tolist()
    middle = [place(np.ones((1, 1)), boxes[key]) for key in keys]
    covered = {kind: np.mean([box_mask(boxes[key][kind]).mean() for key in keys]) for kind in (True, False)}
    both = np.mean([box_mask(np.concatenate([boxes[key][True], boxes[key][False]])).mean() for key in keys])
    return {
        "middle": {each: middle.count(each) / len(middle) for each in PLACES},
        "random": dict(zip(PLACES, map(float, (covered[True], both - covered[True], 1 - both)), strict=True)),
        "object prior": shares(folder, boxes, "object_maps"),
    }


def place(found: np.ndarray, boxes: Mapping[bool, np.ndarray]) -> str:
    """Where the first highest cell of a map (h, w) has its middle; what sounds lies in front."""
    row, column = np.unravel_index(found.argmax(), found.shape)
    for sounding, name in ((True, "sounding"), (False, "silent")):
        mask = box_mask(boxes[sounding])
        height, width = (size / count for size, count in zip(mask.shape, found.shape, strict=True))
        if mask[int((row + 0.5) * height), int((column + 0.5) * width)]:
            return name
    return "elsewhere"


def main() -> None:
    figures, out = begin(__doc__, "peaks")
    result, boxes = json.loads(figures.read_text()), boxes_of_objects()
    runs = defaultdict[str, list[Path]](list)
    for line in result["runs"]:
        name = line["entry"]
        if line["temperature"] == result["chosen_temperatures"].get(name):
            runs[name].append(Path(line["run"]))
    there = {name: folders for name, folders in runs.items() if all([*folder.glob(MAPS)] for folder in folders)}
    facts: dict[str, Any] = record("benchmarks/methods/peaks.py", ("numpy",))
    found = {name: [shares(folder, boxes) for folder in folders] for name, folders in there.items()}
    before = json.loads(out.read_text()) if out.exists() else {"seeds": {}}
    absent = runs.keys() - there.keys()
    if kept := sorted(absent & before["seeds"].keys()):
        print(f"kept from before, with what does not hear: {', '.join(kept)}")
        facts = {**before, "measured_again": {"methods": sorted(found), **facts}}
        found |= {name: before["seeds"][name] for name in kept}
    else:
        facts["floors"] = floors(runs["ezvsl"][-1], boxes)  # which has a prior on every bed
    if unknown := sorted(absent - before["seeds"].keys()):
        print(f"not there, and not measured before: {', '.join(unknown)}")
    rows = {name: {each: fmean(line[each] for line in lines) for each in PLACES} for name, lines in found.items()}
    rows = dict(sorted(rows.items(), key=lambda named: -named[1]["sounding"]))
    write(out, facts | {"methods": rows, "seeds": found})
    for name, row in (*rows.items(), *facts["floors"].items()):
        print(f"| {name} | {' | '.join(f'{100 * row[each]:.1f}' for each in PLACES)} |")


if __name__ == "__main__":
    main()
