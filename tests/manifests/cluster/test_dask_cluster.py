"""What Dask's operator asks of a DaskCluster that ends when it is idle and is made smaller."""

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster_specs import CLUSTER, read
from waiting import wait_until

SPEC = read(CLUSTER / "kubernetes" / "dask-cluster.yaml")["spec"]
SCHEDULER, WORKER = (SPEC[part]["spec"]["containers"][0] for part in ("scheduler", "worker"))
ASKED = ("check_idle", "retire_workers", "adaptive_target")  # under /api/v1/


def named_ports() -> set[str]:
    return {port["name"] for port in SPEC["scheduler"]["service"]["ports"]}


def test_the_service_has_what_the_operator_asks() -> None:
    """As its code says: ports by name, and paths that are those of `test_a_scheduler_answers_the_operator`."""
    if importlib.util.find_spec("dask_kubernetes") is None:
        pytest.skip("the validators are not installed: `make validators` installs them")
    (folder,) = importlib.util.find_spec("dask_kubernetes").submodule_search_locations
    code = (Path(folder) / "operator" / "controller" / "controller.py").read_text()
    assert SPEC["idleTimeout"]
    assert set(re.findall(r'port_name="([^"]+)"', code)) <= named_ports()
    assert set(re.findall(r"/api/v1/(\w+)", code)) == set(ASKED)


def test_ports_of_the_service_are_ports_of_the_scheduler() -> None:
    targets = {port["targetPort"] for port in SPEC["scheduler"]["service"]["ports"]}
    assert targets == {port["name"] for port in SCHEDULER["ports"]} == named_ports()


@contextmanager
def started(container: dict[str, Any], changed: dict[str, str], *more: str, **environment: str) -> Iterator[None]:
    """A container's command on the loopback, in an environment with the container's own."""
    words = [changed.get(word, word) for word in container["args"]]
    own = {each["name"]: each["value"] for each in container.get("env", [])}
    tool = Path(sys.executable).parent / words[0]
    process = subprocess.Popen(
        [tool, *words[1:], "--host", "127.0.0.1", *more], env={**os.environ, **own, **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def asked(port: int, path: str, body: dict[str, Any] | None = None) -> Any:
    """An answer of the scheduler; None before there is one."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", data, timeout=60) as answer:
            return json.load(answer)
    except OSError:
        return None


def free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (one, two)]


@pytest.mark.slow
def test_a_scheduler_answers_the_operator() -> None:
    """Since when it is idle; and the names of retired workers, each that of the Deployment which is then deleted."""
    comm, web = free_ports()
    changed = {"8786": str(comm), ":8787": f"127.0.0.1:{web}"}
    named = {"$(DASK_WORKER_NAME)": "standing-default-worker-1"}
    scheduler = f"tcp://127.0.0.1:{comm}"
    with started(SCHEDULER, changed), started(WORKER, named, DASK_SCHEDULER_ADDRESS=scheduler):
        wait_until(lambda: bool((asked(web, "get_workers") or {}).get("num_workers")), 120)
        wait_until(lambda: bool(asked(web, "check_idle")["idle_since"]))
        assert asked(web, "adaptive_target")["workers"] == 0
        retired = asked(web, "retire_workers", {"n": 1})
    assert [each["name"] for each in retired.values()] == ["standing-default-worker-1"]
