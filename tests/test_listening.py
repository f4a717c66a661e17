"""What is started on one machine listens on its loopback alone."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from places import PYTHONPATH
from waiting import wait_until

from pipeline.jobs.cluster import connected

TRAINS = """
import sys, time
from pathlib import Path
from training.distributed import ranks

if __name__ == "__main__":
    with ranks("cpu") as process:
        process.barrier()
        Path(sys.argv[1], str(process.rank)).touch()
        while not Path(sys.argv[1], "seen").exists():
            time.sleep(0.05)
"""


def listening(process: psutil.Process) -> set[str]:
    """Addresses at which a process and all it has started listen."""
    family = [process, *process.children(recursive=True)]
    return {each.laddr.ip for one in family for each in one.net_connections() if each.status == psutil.CONN_LISTEN}


def test_the_local_workers_of_ingest_and_their_dashboard() -> None:
    with connected(None, 2) as client:
        client.wait_for_workers(2)
        assert listening(psutil.Process()) <= {"127.0.0.1", "::1"}


NO_PAGES = ["--no-dashboard", "--dashboard-address", "localhost:0"]
STARTED = {
    "scheduler": ["dask", "scheduler", "--host", "localhost", "--port", "0", *NO_PAGES],
    "viewer": ["tensorboard.main", "--logdir", ".", "--port", "0"],
}


@pytest.mark.slow
@pytest.mark.parametrize("line", STARTED.values(), ids=STARTED)
def test_what_the_pages_have_users_start_on_one_machine(line: list[str], tmp_path: Path) -> None:
    """As docs/cluster.md writes it, at a port that is free."""
    process = subprocess.Popen([sys.executable, "-m", *line], cwd=tmp_path)
    try:
        wait_until(lambda: bool(listening(psutil.Process(process.pid))), 240)
        assert listening(psutil.Process(process.pid)) <= {"127.0.0.1", "::1"}
    finally:
        process.kill()
        process.wait(60)


@pytest.mark.slow
def test_the_processes_of_training_on_one_machine(tmp_path: Path) -> None:
    """The ranks, and the launcher's own meeting point."""
    script = tmp_path / "trains.py"
    script.write_text(TRAINS)
    launch = [sys.executable, "-m", "training.launch", "--standalone", "--nproc-per-node", "2", script, tmp_path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PYTHONPATH}
    process = subprocess.Popen(launch, env=environment)
    try:
        wait_until(lambda: all((tmp_path / rank).exists() for rank in "01"), 120)
        launcher = psutil.Process(process.pid)
        assert len(launcher.children()) == 2
        assert listening(launcher) == {"127.0.0.1"}
    finally:
        (tmp_path / "seen").touch()
        process.wait(60)
