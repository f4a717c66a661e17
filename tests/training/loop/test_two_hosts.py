"""Training over two hosts: network namespaces that share the file system and nothing else."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Hosts, network
from runs_in_processes import launched, steps_logged, wait_for, write_small
from runs_in_processes import losses as logged
from tiny_run import write_tiny

from training.config import load_config
from training.loop.start import start

OTHER = {"first": "second", "second": "first"}
SECONDS = 300.0  # longer than anything takes


def begin(hosts: Hosts, name: str, config: Path, runs: Path, *options: str) -> subprocess.Popen[str]:
    """The documented command on one of the two hosts: they meet at an address of the first."""
    meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{hosts.address('first')}:29400", "--rdzv-id", "run"]
    first = ["--rdzv-conf", f"is_host={int(name == 'first')}"]  # no name leads to these addresses
    local = ["--local-addr", hosts.address(name), *first]
    launch = [sys.executable, "-m", "training.launch", "--nnodes", "2", "--nproc-per-node", "1", *meet, *local]
    run = ["-m", "training", "run", str(config), "--runs", str(runs), "--device", "cpu"]
    return hosts.start(name, *launch, *options, *run, GLOO_SOCKET_IFNAME="eth0")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with network(tmp_path) as both:
        for name in OTHER:
            both.add(name)
        yield both


@pytest.mark.slow
def test_two_hosts_train_one_run(hosts: Hosts, shards: Path, tmp_path: Path) -> None:
    """Gradients and negatives cross the link between them."""
    optim = {"epochs": 2, "replicas": 2, "negatives": "global", "batch_norm": "synchronised"}
    path = write_tiny(tmp_path, shards, name="hosts", data={"shuffle": 8}, optim=optim, log_every=1)
    running = {name: begin(hosts, name, path, tmp_path / "runs") for name in OTHER}
    for name, process in running.items():
        assert process.wait(timeout=250) == 0, hosts.log(name).read_text()
    alone, _ = start(load_config(path), tmp_path / "alone", "cpu")
    assert losses(tmp_path / "runs") == pytest.approx(losses(alone), rel=2e-3)


def losses(folder: Path) -> list[float]:
    (log,) = folder.rglob("metrics.jsonl")
    return [json.loads(line)["loss"]["total"] for line in log.read_text().splitlines()]


@pytest.fixture(scope="module")
def config(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small(tmp_path_factory.mktemp("two-hosts") / "small.yaml", shards, epochs=40)


@pytest.fixture(scope="module")
def undisturbed(config: Path) -> list[tuple[int, float]]:
    """Losses of the run that no host was lost of."""
    process = launched(config, config.parent / "runs", processes=2)
    said = process.communicate(timeout=SECONDS)[1]
    assert process.returncode == 0, said
    return logged(next(config.parent.glob("runs/small/*")))


def begin_both(hosts: Hosts, config: Path, runs: Path, *options: str) -> dict[str, subprocess.Popen[str]]:
    """Both, some steps after the beginning."""
    running = {name: begin(hosts, name, config, runs, *options) for name in OTHER}
    wait_for(lambda: any(steps_logged(run) > 6 for run in runs.glob("small/*")), running["first"], SECONDS)
    return running


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", ["killed", "cut"])
@pytest.mark.parametrize("lost", list(OTHER))
def test_a_lost_host_ends_the_other_within_a_minute_and_the_run_goes_on(
    hosts: Hosts, config: Path, undisturbed: list, tmp_path: Path, lost: str, way: str
) -> None:
    """All its processes end at once, or nothing is heard of them any more; then two processes of one host go on."""
    running = begin_both(hosts, config, tmp_path / "runs")
    {"killed": hosts.kill, "cut": hosts.cut}[way](lost)
    begun = time.monotonic()
    code = running[OTHER[lost]].wait(SECONDS)
    seconds, said = time.monotonic() - begun, hosts.log(OTHER[lost]).read_text()
    assert (code, seconds < 60) == (1, True), f"{seconds:.0f} s\n{said}"
    assert re.search(r"^failed: .*goes on from what is saved\.$", said, re.MULTILINE), said
    assert not re.search("Traceback|frame #", said), said
    assert running[lost].wait(SECONDS) == {"killed": -signal.SIGKILL, "cut": 1}[way], hosts.log(lost).read_text()
    (run,) = tmp_path.glob("runs/small/*")
    assert 0 < steps_logged(run) < len(undisturbed)
    again = launched(config, tmp_path / "runs", processes=2)
    said = again.communicate(timeout=SECONDS)[1]
    assert again.returncode == 0, said
    assert logged(run) == undisturbed


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_host_that_comes_back_is_waited_for(hosts: Hosts, config: Path, undisturbed: list, tmp_path: Path) -> None:
    """--max-restarts: the first host's launcher lives, and starts its process again when the other is there."""
    running = begin_both(hosts, config, tmp_path / "runs", "--max-restarts", "3")
    hosts.kill("second")
    assert running["second"].wait(SECONDS) == -signal.SIGKILL
    running["second"] = begin(hosts, "second", config, tmp_path / "runs", "--max-restarts", "3")
    for name, process in running.items():
        assert process.wait(SECONDS) == 0, hosts.log(name).read_text()
    (run,) = tmp_path.glob("runs/small/*")
    assert "another process of the run has ended" in hosts.log("first").read_text()
    assert logged(run) == undisturbed
