"""What every script needs that looks at the runs which a comparison has left in its work folder."""

import argparse
import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods.measure_run import RUNS, one_thread
from benchmarks.methods.plan import run_name
from manifests.files.parquet import read_table
from training.run_folders.files import DONE
from training.run_folders.names import seed_of

MAPS = "evaluation/*-vggss-heard.maps.npz"
Boxes = dict[str, dict[bool, np.ndarray]]  # by clip, those of objects that sound and of those that do not


def begin(description: str, suffix: str) -> tuple[Path, Path]:
    """Read the command line and go to the work folder.

    Returns the file of figures and the one to write, `suffix` behind its name.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="of the comparison, whose runs are looked at")
    parser.add_argument("--work", type=Path, required=True, help="folder of the comparison")
    options = parser.parse_args()
    figures = options.figures.resolve()
    os.chdir(options.work)
    one_thread()
    return figures, figures.with_name(f"{figures.stem}-{suffix}.json")


def scored(names: str) -> list[Path]:
    """Folders of the runs of these methods whose maps of the heard test clips are there."""
    return sorted(path.parent.parent for path in Path("runs").glob(f"{names}/*/{MAPS}"))


def at_chosen_temperatures(result: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Entry of a file of figures -> its finished runs at the temperature chosen there, one for each seed; those
    without any are left out."""
    named, found = {line["run"] for line in result["runs"]}, dict[str, list[Path]]()
    for entry, temperature in result["chosen_temperatures"].items():
        seeds = defaultdict[int | None, list[Path]](list)
        for mark in sorted((RUNS / run_name(entry, temperature)).glob(f"*/{DONE}")):
            seeds[seed_of(mark.parent.name)].append(mark.parent)
        found[entry] = [_of_a_seed(seeds[seed], named) for seed in sorted(seeds, key=str)]
    return {entry: folders for entry, folders in found.items() if folders}


def _of_a_seed(folders: Sequence[Path], named: Collection[str]) -> Path:
    """The run that the figures name, else the one that was finished last; others of the seed are said."""
    kept = next((folder for folder in folders if str(folder) in named), None)
    kept = kept or max(folders, key=lambda folder: (folder / DONE).stat().st_mtime)
    for other in set(folders) - {kept}:
        print(f"{other} is left out: {kept} is of the same entry and seed")
    return kept


def maps_of(folder: Path) -> Path:
    """The maps of the heard test clips."""
    (path,) = folder.glob(MAPS)
    return path


def boxes_of_objects() -> Boxes:
    """Boxes (n, 4) of what is on the screen of each clip."""
    found: dict[str, dict[bool, list[list[float]]]] = defaultdict(lambda: {True: [], False: []})
    for row in read_table(Path("corpus/truth.parquet")).to_pylist():
        if row["on_screen"]:
            found[row["key"]][row["sounding"]].append([row[side] for side in ("x1", "y1", "x2", "y2")])
    return {key: {kind: np.array(each).reshape(-1, 4) for kind, each in own.items()} for key, own in found.items()}
