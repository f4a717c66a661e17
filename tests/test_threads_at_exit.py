"""No library's threads wait for a command's end: under load such a thread ends too late now and then, and aborts it.

Arrow's reader pools did, with two threads (`manifests.files.parquet` says how they are kept from starting): of commands
that had done all their work, some ended with exit code 134.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from damaged_tars import equal_shards
from places import PYTHONPATH

ONE_EACH = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # these pools are the number of threads they are given
OF_THE_ALLOCATOR = "jemalloc_bg_thd"  # a thread that runs none of the library's other code
# A thread of Python that was joined is seen for a moment more, until its end; those of a pool wait for good.
COMMAND = """
import atexit, sys, time
from pathlib import Path

def left():
    names = [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if name != "{allocator}"]

def show():
    end = time.monotonic() + 2
    while len(left()) > 1 and time.monotonic() < end:
        time.sleep(0.05)
    print(left(), file=sys.stderr)

atexit.register(show)
from {package}.cli import main
main()
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted as Linux shows them")
@pytest.mark.parametrize("command", ["index build-knn --k 5", "index random-knn --k 5", "pipeline inspect shards"])
def test_a_command_ends_alone(tmp_path: Path, command: str) -> None:
    equal_shards(tmp_path / "shards")
    package, *arguments = command.split()
    child = [sys.executable, "-c", COMMAND.format(package=package, allocator=OF_THE_ALLOCATOR), *arguments]
    environment = os.environ | ONE_EACH | {"PYTHONPATH": PYTHONPATH}
    ended = subprocess.run(child, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    left = ended.stderr.splitlines()[-1].strip("[]").split(", ")
    assert len(left) == 1, left
