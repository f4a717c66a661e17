"""`training status` on runs in every state, from their folders alone."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from manifests.errors import InputError
from training.loop.checkpoint import Progress
from training.loop.pace import Pace
from training.status import status

NOW = 1_000_000.0


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Step 150 of 400: the third epoch of eight, 0.5 s a step, 64 clips each."""
    folder = tmp_path / "runs" / "small" / "0123abcd-s0"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("name: small\noptim: {epochs: 8, batch_size: 64}\n")
    (folder / "data.json").write_text(json.dumps({"steps_per_epoch": 50}))
    rows = [{"step": step, "epoch": (step - 1) // 50, "loss": {"total": 2.0}, "lr": 1, "seconds": step / 2}
            for step in range(10, 151, 10)]  # fmt: skip
    rows[-1]["pace"] = {"samples_per_second": 1280.0, "stall": 0.034, "gpu_gigabytes": 21.5}
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "checkpoints" / "last.pt").write_bytes(b"")
    os.utime(folder / "checkpoints" / "last.pt", (NOW - 90, NOW - 90))
    os.utime(folder / "metrics.jsonl", (NOW - 4, NOW - 4))
    return folder


def test_a_run_in_the_middle(run: Path) -> None:
    said = status(run.parent, NOW)
    assert said == {
        "run": run,
        "state": "stopped; its last step was logged 0:00:04 ago",
        "epoch": "3 of 8, step 150 of 400",
        "loss": "2",
        "samples/s": "1,280",
        "stall": "3.4% of the time",
        "GPU memory": "21.5 GB",
        "time left": "0:02:05",
        "last checkpoint": f"{run / 'checkpoints' / 'last.pt'}, 0:01:30 ago",
    }


HOLDER = """
import sys, time
from pathlib import Path
from manifests.files.locks import held
with held(Path(sys.argv[1]) / "lock", Path(sys.argv[1]), "run", ""):
    print(flush=True)
    time.sleep(200)
"""


def test_whether_it_runs_is_told_from_its_lock(run: Path) -> None:
    """Before and after kill -9; looking takes nothing away. What another machine's process does is not seen here."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, run], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(2):
            said = status(run, NOW)["state"]
            assert re.fullmatch(
                rf"running: process {process.pid} on \S+, since \S+; its last step was logged 0:00:04 ago", str(said)
            )
        process.kill()
    (run / "metrics.jsonl").unlink()
    killed = rf"stopped: process {process.pid} on \S+, since \S+, was killed; no step is logged yet"
    assert re.fullmatch(killed, str(status(run, NOW)["state"]))
    note = json.loads((run / "lock").read_text()) | {"host": "elsewhere"}
    (run / "lock").write_text(json.dumps(note))
    os.utime(run / "lock", (NOW - 3, NOW - 3))
    assert status(run, NOW)["state"] == (
        f"not known from this machine whether it runs (process {process.pid} on elsewhere, since {note['since']}, "
        "last seen 0:00:03 ago); no step is logged yet"
    )


def test_a_line_that_is_being_written_is_left_out(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as log:
        log.write('{"step": 160, "ep')
    assert status(run, NOW)["epoch"] == "3 of 8, step 150 of 400"


def test_runs_of_earlier_versions_that_have_just_begun_and_that_are_done(run: Path) -> None:
    log = run / "metrics.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("".join(f"{line}\n" for line in lines[:-1]))
    assert status(run, NOW)["samples/s"] == "128"
    log.write_text(f"{lines[0]}\n")
    assert status(run, NOW)["time left"] == "not known yet"
    (run / "DONE").write_text("400 steps, 200.0 s\n")
    said = status(run, NOW)
    assert said["state"] == "finished: 400 steps, 200.0 s"
    assert "time left" not in said
    (run / "DONE").unlink()
    log.unlink()
    (run / "checkpoints" / "last.pt").unlink()
    said = status(run, NOW)
    assert (said["state"], said["last checkpoint"]) == ("stopped; no step is logged yet", "none yet")


def test_no_run_and_several_are_refused(run: Path) -> None:
    with pytest.raises(InputError, match="There is no run at"):
        status(run.parents[2])
    other = run.parent / "4567cdef-s0"
    other.mkdir()
    (other / "config.yaml").write_text("name: small\n")
    with pytest.raises(InputError, match="holds 2 runs, name one"):
        status(run.parent)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "metrics.jsonl",
            '{"step": 1, "epoch": 0, "loss": 3, "seconds": 1}\n',
            "line 1, is damaged .*for loss what is not",
        ),
        (
            "metrics.jsonl",
            '{"step": "1", "epoch": 0, "loss": {}, "seconds": 1}\n',
            "for step what is not a whole",
        ),
        (
            "metrics.jsonl",
            '{"step": 1, "epoch": 0, "loss": {"total": "1"}, "seconds": 1}\n',
            "for loss what is not",
        ),
        ("data.json", '{"steps_per_epoch": 0}', "steps_per_epoch is 0, not a whole number above zero"),
        ("config.yaml", "name: small\noptim: null\n", "its optim is no section of named values"),
        ("config.yaml", "name: small\noptim: {epochs: many}\n", "optim.epochs is 'many'"),
    ],
)
def test_values_of_another_kind_are_told_in_words(run: Path, name: str, content: str, words: str) -> None:
    (run / name).write_text(content)
    with pytest.raises(InputError, match=f"{name}.*{words}"):
        status(run, NOW)


def test_steps_that_no_file_says_are_unknown(run: Path) -> None:
    (run / "data.json").unlink()
    said = status(run, NOW)
    assert said["epoch"] == "3 of 8, step 150 of unknown (no data.json says how many)"
    assert said["time left"] == "not known yet"


def test_the_command_reads_the_folder_and_does_not_load_torch(run: Path) -> None:
    code = "import sys; from training.cli import app; app(standalone_mode=False); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, "status", run], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 of 8, step 150 of 400" in done.stdout


def test_the_share_of_waiting_is_measured_between_readings() -> None:
    def slow():
        for number in range(3):
            time.sleep(0.03)
            yield number

    pace = Pace(64, torch.device("cpu"), Progress(10, 5.0))
    assert list(pace.over(slow())) == [0, 1, 2]
    reading = pace.reading(Progress(13, 5.0 + 0.4))
    assert reading["samples_per_second"] == pytest.approx(480)
    assert 0.2 < reading["stall"] < 0.9
    assert pace.reading(Progress(13, 5.4)) == {}
    assert pace.reading(Progress(14, 5.6))["stall"] == 0
