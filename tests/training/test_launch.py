"""`python -m training.launch`: torchrun, of whose failures one line is left, and the exit code of the run."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import ROOT
from runs_in_processes import losses, steps_logged, wait_for, write_small
from torch.distributed import DistStoreError
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousConnectionError

from manifests.errors import InputError, WorkFailed
from training.launch import _stopped, launch
from training.processes.agent import Agent, Ends, met
from training.processes.one_host import meet_on_loopback

LINE = ("--standalone", "--nproc-per-node", "2", "-m", "training", "run", "x.yaml")
TOLD = '{"message": {"message": "%s", "extraInfo": {"py_callstack": "", "timestamp": "%d"}}}'


def failed(folder: Path, **said: tuple[int, str]) -> ChildFailedError:
    """What torchrun raises where processes ended with these codes, and left these words, in this order."""
    failures = {}
    for number, (name, (code, words)) in enumerate(said.items()):
        path = folder / name
        if words:
            path.write_text(TOLD % (words, number))
        rank = int(name.removeprefix("rank"))
        failures[rank] = ProcessFailure(rank, 1000 + rank, code, str(path))
    return ChildFailedError("training", failures)


def end_of(error: Exception, monkeypatch: pytest.MonkeyPatch, own: dict[int, int] | None = None) -> object:
    def fails(asked: object) -> None:
        Agent.ends = Ends(own)
        raise error

    monkeypatch.setattr(torchrun, "run", fails)
    with pytest.raises(SystemExit) as end:
        launch(LINE)
    return end.value.code


def test_what_the_first_process_has_said_is_not_said_again(tmp_path, monkeypatch, capsys) -> None:
    error = failed(tmp_path, rank1=(2, "bad input: no"), rank0=(2, "bad input: no"))
    assert end_of(error, monkeypatch) == 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("others", [{}, {"rank0": (1, "failed: another process has ended")}])
def test_what_another_process_could_not_say_is_said(tmp_path, monkeypatch, capsys, others) -> None:
    error = failed(tmp_path, rank9=(75, "stopped: it is saved"), **others)
    assert end_of(error, monkeypatch) == 75
    assert capsys.readouterr().err == "stopped: it is saved\n"


def test_bad_input_is_the_reason_whatever_else_failed(tmp_path, monkeypatch, capsys) -> None:
    error = failed(tmp_path, rank0=(1, "failed: another process has ended"), rank1=(2, "bad input: no"))
    assert end_of(error, monkeypatch) == 2
    assert capsys.readouterr().err == "bad input: no\n"


@pytest.mark.slow
@pytest.mark.parametrize(("code", "times"), [(2, 1), (1, 3)])
def test_what_ended_by_bad_input_is_not_started_again(tmp_path: Path, code: int, times: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"print('started', flush=True); raise SystemExit({code})")
    line = ["--standalone", "--nproc-per-node", "1", "--max-restarts", "2", "--monitor-interval", "0.1", str(program)]
    (temporary := tmp_path / "temporary").mkdir()
    ended = subprocess.run(
        [sys.executable, "-m", "training.launch", *line], check=False, capture_output=True, text=True, timeout=240,
        env=os.environ | {"TMPDIR": str(temporary)},
    )  # fmt: skip
    assert (ended.returncode, ended.stdout.count("started")) == (code, times), ended.stderr
    assert not list(temporary.iterdir())


HELD_UP = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: None)
os.kill(os.getppid(), signal.SIGTERM)
while True: time.sleep(1)
"""


@pytest.mark.slow
def test_processes_have_the_time_to_save_that_the_launcher_says(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(HELD_UP)
    line = "from training import launch; from training.processes import agent; agent.SECONDS_TO_SAVE = 2; launch.main()"
    command = [sys.executable, "-c", line, "--standalone", "--monitor-interval", "0.1", str(program)]
    begun = time.monotonic()
    ended = subprocess.run(command, check=False, timeout=240, capture_output=True, text=True)
    assert time.monotonic() - begun < 30, "torchrun's own time"
    assert ended.returncode == 1, "nobody has said that anything was saved"
    assert "had not ended 2 s later" in ended.stderr


LISTENING = """
import os, psutil, socket
found = psutil.Process(os.getppid()).net_connections("inet")
print(sorted({each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN}), os.environ["MASTER_ADDR"])
socket.create_connection((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--standalone"], []], ids=["standalone", "one host"])
def test_a_run_on_one_host_meets_on_its_loopback_alone(options: list[str], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(LISTENING)
    line = [sys.executable, "-m", "training.launch", *options, "--monitor-interval", "0.1", str(program)]
    ended = subprocess.run(line, check=False, capture_output=True, text=True, timeout=240)
    assert ended.stdout == "['127.0.0.1'] 127.0.0.1\n", ended.stderr


def test_a_meeting_point_that_is_named_is_obeyed() -> None:
    hosts = ["--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "first:29400", "x.py"]
    static = ["--nnodes", "2", "--master-addr", "first", "x.py"]
    for line in (hosts, static):
        asked = torchrun.parse_args(line)
        meet_on_loopback(asked)
        assert vars(asked) == vars(torchrun.parse_args(line))


def test_a_process_that_left_no_words_has_said_them(tmp_path, monkeypatch, capsys) -> None:
    assert end_of(failed(tmp_path, rank1=(1, "")), monkeypatch) == 1
    assert capsys.readouterr().err == ""


def test_a_signal_to_the_launcher_is_a_run_that_was_stopped(monkeypatch) -> None:
    assert end_of(SignalException("told", signal.SIGTERM), monkeypatch) == 75


def test_a_launcher_whose_meeting_point_is_gone_says_so() -> None:
    def gone() -> int:
        raise RendezvousConnectionError("the connection has failed")

    assert met(lambda: 2)() == 2
    with pytest.raises(WorkFailed, match=r"hosts of the run met has ended or cannot be reached.*goes on"):
        met(gone)()


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [(RendezvousConnectionError("nobody answers"), WorkFailed, r"did not meet: .*nobody answers.*--rdzv-endpoint"),
     (DistStoreError("wait timeout"), WorkFailed, r"did not meet: .*wait timeout.*--rdzv-endpoint"),
     (ValueError("nproc-per-node"), InputError, "make no run: nproc-per-node"),
     (None, WorkFailed, r"process 1 of the run was ended by SIGKILL.*goes on")],
)  # fmt: skip
def test_what_no_process_can_say_is_a_sentence(error, kind, said, tmp_path, monkeypatch) -> None:
    def fails(asked: object) -> None:
        raise error or failed(tmp_path, rank1=(-9, ""))

    monkeypatch.setattr(torchrun, "run", fails)
    with pytest.raises(kind, match=said):
        launch(LINE)


# --- with processes --------------------------------------------------------------------------------------------------


def started(config: str | Path, runs: Path) -> subprocess.Popen:
    line = [*LINE[:-1], str(config), "--runs", str(runs), "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "training.launch", *line], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.slow
def test_bad_input_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    process = started("nowhere.yaml", tmp_path)
    said = process.communicate(timeout=240)[1]
    assert (process.returncode, said.count("\n")) == (2, 1), said
    assert said.startswith("bad input: no config 'nowhere.yaml'")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "whom", "code", "said"),
    [(signal.SIGTERM, "launcher", 75, "is saved at step"), (signal.SIGUSR1, "launcher", 75, "is saved at step"),
     (signal.SIGKILL, "rank", 1, "was ended by SIGKILL")],
)  # fmt: skip
def test_a_run_that_is_signalled(number, whom, code, said, shards: Path, tmp_path: Path) -> None:
    process = started(write_small(tmp_path / "small.yaml", shards, epochs=400), tmp_path / "runs")
    wait_for(lambda: any(steps_logged(run) > 3 for run in tmp_path.glob("runs/small/*")), process, 240)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
    os.kill(process.pid if whom == "launcher" else int(children.split()[-1]), number)
    err = process.communicate(timeout=240)[1]
    assert process.returncode == code, err
    assert said in err
    assert "Traceback" not in err


SILENT = """
import os, sys, time
from training.data.stream import TrainingStream
decode = TrainingStream._decode

def held_up(self, sample):
    if os.environ["RANK"] == {silent!r} and self.epoch == 1:
        time.sleep(1000)
    return decode(self, sample)

TrainingStream._decode = held_up
from training.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("silent", "said"), [("0", "it waited for clips of"), ("1", "another of its processes waited")]
)
def test_a_signal_while_one_process_waits_for_clips_saves_the_step_before(
    silent: str, said: str, shards: Path, tmp_path: Path
) -> None:
    """Whichever it is: the other one has begun the step, and waits for the first one's part of it."""
    config = write_small(tmp_path / "small.yaml", shards, epochs=3)
    assert started(config, tmp_path / "whole").wait(timeout=240) == 0
    (tmp_path / "program.py").write_text(SILENT.format(silent=silent))
    command = [sys.executable, "-m", "training.launch", *LINE[:3], str(tmp_path / "program.py"), *LINE[5:-1]]
    process = subprocess.Popen(
        [*command, str(config), "--runs", str(tmp_path / "runs"), "--device", "cpu"], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    wait_for(lambda: any(steps_logged(run) == 3 for run in tmp_path.glob("runs/small/*")), process, 240)
    time.sleep(1)
    process.terminate()
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 75, err
    assert re.search(rf"stopped: .* while {said}.* is saved at step 3 of 9 ", err), err
    assert started(config, tmp_path / "runs").wait(timeout=240) == 0
    one, two = (next(tmp_path.glob(f"{name}/small/*")) for name in ("whole", "runs"))
    assert losses(one) == losses(two)
    assert (one / "weights.safetensors").read_bytes() == (two / "weights.safetensors").read_bytes()


def test_of_those_that_failed_the_one_that_ended_first_is_the_reason(tmp_path, monkeypatch, capsys) -> None:
    """Whatever the order, within one second: torchrun's times are whole ones."""
    lost = "failed: another process of the run has ended or cannot be reached"
    for survivor in ((-15, ""), (1, lost), (75, "stopped: it is saved")):
        for own in ({1: -9}, None) if survivor[0] != 75 else ({1: -9},):
            error = failed(tmp_path, rank0=survivor, rank1=(-9, ""))
            for failure in error.failures.values():
                failure.timestamp = 7
            with pytest.raises(WorkFailed, match="process 1 of the run was ended by SIGKILL"):
                end_of(error, monkeypatch, own)
    error = failed(tmp_path, rank0=(1, lost), rank1=(1, "failed: the loss became nan"))
    error.failures[1].timestamp = error.failures[0].timestamp
    assert end_of(error, monkeypatch, {0: 1, 1: 1}) == 1
    assert capsys.readouterr().err == "failed: the loss became nan\n"


@pytest.mark.parametrize(
    ("codes", "code"),
    [({}, 75), ({0: 75, 1: 1}, 75), ({0: 1, 1: 75}, 1), ({0: 0, 1: -15}, 0), ({0: -15, 1: -15}, 75),
     ({2: 75, 3: 1}, 75), ({2: 1, 3: -15}, 1)],
)  # fmt: skip
def test_after_a_signal_the_code_is_that_of_the_process_that_saves(codes: dict[int, int], code: int) -> None:
    assert _stopped(codes) == code


def test_who_had_to_be_killed_has_not_said_that_it_saved() -> None:
    with pytest.raises(WorkFailed, match=r"had not ended 110 s later.* is lost\. The same command goes on"):
        _stopped({0: -9, 1: 75})
