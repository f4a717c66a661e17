"""Slurm's scripts between their job and their stage, without Slurm: srun, scontrol and the stages are stand-ins.

The stand-in of srun does as Slurm 22.05's was seen to: it passes SIGUSR1 on to its task, and kills it when it is itself
told to end by SIGTERM. `test_flows` asks Slurm itself, where it is installed.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cluster_specs import CLUSTER
from waiting import wait_until

STAGES = ("ingest", "index", "train", "evaluate")
SAME = "# From here on every stage's script is the same"
PROGRAM = """#!{python}
import os, signal, subprocess, sys, time
def note(words):
    with open("said", "a") as file: file.write(words + "\\n")
"""
SRUN = """
task = subprocess.Popen(sys.argv[next(i for i, word in enumerate(sys.argv) if i and word[0] != "-"):])
signal.signal(signal.SIGUSR1, lambda *_: task.send_signal(signal.SIGUSR1))
signal.signal(signal.SIGTERM, lambda *_: task.kill())
sys.exit(task.wait() if task.returncode is None or task.returncode >= 0 else 128 - task.returncode)
"""
STAGE = """
def told(number, frame):
    note("saved")
    sys.exit({code})
signal.signal(signal.SIGUSR1, told)
note("up")
time.sleep(60)
"""
DASK = "\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\ntime.sleep(60 if sys.argv[1] == 'scheduler' else 0)\n"
SCONTROL = "\nprint('here') if sys.argv[1] == 'show' else note(' '.join(sys.argv[1:]))\n"


class Job:
    """A script in the middle of its work."""

    def __init__(self, stage: str, folder: Path, code: int = 75) -> None:
        self.said = folder / "said"
        stand_in = STAGE.format(code=code)
        names = dict.fromkeys(("pipeline", "index", "training", "python"), stand_in)
        for name, body in (names | {"srun": SRUN, "dask": DASK, "scontrol": SCONTROL}).items():
            (folder / name).write_text(PROGRAM.format(python=sys.executable) + body)
            (folder / name).chmod(0o755)
        facts = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "here", "SLURM_NNODES": "1"}
        self.process = subprocess.Popen(
            ["bash", CLUSTER / "slurm" / f"{stage}.sbatch"], cwd=folder, start_new_session=True,
            env={**os.environ, **facts, "PATH": f"{folder}:{os.environ['PATH']}"}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self.said.exists)

    def end(self, number: signal.Signals) -> tuple[int, list[str]]:
        """The exit code of a job that is sent a signal, and what was said on the way."""
        self.process.send_signal(number)
        return self.process.wait(60), self.said.read_text().splitlines()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[list[Job]]:
    started: list[Job] = []
    yield started
    for job in started:
        with suppress(ProcessLookupError):  # all of it has ended
            os.killpg(job.process.pid, signal.SIGKILL)


@pytest.mark.parametrize("stage", STAGES)
def test_a_job_whose_time_is_nearly_over_keeps_what_it_has_and_is_requeued(stage, jobs, tmp_path) -> None:
    jobs.append(Job(stage, tmp_path))
    assert jobs[0].end(signal.SIGUSR1) == (75, ["up", "saved", "requeue 7"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_job_that_is_cancelled_keeps_what_it_has_and_stays_so(stage, jobs, tmp_path) -> None:
    jobs.append(Job(stage, tmp_path))
    assert jobs[0].end(signal.SIGTERM) == (75, ["up", "saved"])


@pytest.mark.parametrize("code", [0, 2])
def test_what_is_done_or_was_bad_input_is_not_requeued(code, jobs, tmp_path) -> None:
    jobs.append(Job("index", tmp_path, code))
    assert jobs[0].end(signal.SIGUSR1) == (code, ["up", "saved"])


def test_every_stage_is_told_in_the_same_way() -> None:
    texts = [(CLUSTER / "slurm" / f"{stage}.sbatch").read_text() for stage in STAGES]
    assert len({text.partition(SAME)[2] for text in texts}) == 1
    assert all("#SBATCH --signal=B:USR1@180\n#SBATCH --requeue\n" in text for text in texts)
