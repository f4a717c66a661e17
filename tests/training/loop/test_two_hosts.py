"""Training over two hosts: network namespaces that share the file system and nothing else."""

import json
import sys
from pathlib import Path

import pytest
from hosts import network
from tiny_run import write_tiny

from training.config import load_config
from training.loop.start import start


@pytest.mark.slow
def test_two_hosts_train_one_run(shards: Path, tmp_path: Path) -> None:
    """They meet at an address of the first; gradients and negatives cross the link between them."""
    optim = {"epochs": 2, "replicas": 2, "negatives": "global", "batch_norm": "synchronised"}
    path = write_tiny(tmp_path, shards, name="hosts", data={"shuffle": 8}, optim=optim, log_every=1)
    with network(tmp_path) as hosts:
        for name in ("first", "second"):
            hosts.add(name)
        meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{hosts.address('first')}:29400", "--rdzv-id", "run"]
        running = {}
        for name in ("first", "second"):
            launch = [sys.executable, "-m", "training.launch", "--nnodes", "2", "--nproc-per-node", "1", *meet]
            run = ["-m", "training", "run", str(path), "--runs", str(tmp_path / "runs"), "--device", "cpu"]
            first = ["--rdzv-conf", f"is_host={int(name == 'first')}"]  # no name leads to these addresses
            local = ["--local-addr", hosts.address(name), *first]
            running[name] = hosts.start(name, *launch, *local, *run, GLOO_SOCKET_IFNAME="eth0")
        for name, process in running.items():
            assert process.wait(timeout=250) == 0, hosts.log(name).read_text()
    alone, _ = start(load_config(path), tmp_path / "alone", "cpu")
    assert losses(tmp_path / "runs") == pytest.approx(losses(alone), rel=2e-3)


def losses(folder: Path) -> list[float]:
    (log,) = folder.rglob("metrics.jsonl")
    return [json.loads(line)["loss"]["total"] for line in log.read_text().splitlines()]
