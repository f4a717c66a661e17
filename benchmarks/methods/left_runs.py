"""What every script needs that looks at the runs which a comparison has left in its work folder."""

import argparse
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.methods.measure_run import one_thread
from manifests.parquet import read_table

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
