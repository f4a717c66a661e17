"""The beginning of every script that looks at the runs which a comparison has left in its work folder."""

import argparse
import os
from pathlib import Path

from benchmarks.methods.measure_run import one_thread


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
