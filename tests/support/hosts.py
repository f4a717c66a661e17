"""Hosts on one machine: network namespaces with addresses of their own, linked by a bridge.

Nothing of the machine's own network is touched. The hosts share the file system, as cluster nodes share theirs.
"""

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from places import ROOT

NAMES = "hosts-test"  # of the namespaces; the process that made one follows


def ip(*arguments: str) -> str:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"ip {' '.join(arguments)}: {result.stderr}"
    return result.stdout


class Hosts:
    """Hosts by name, each a network namespace with one link to a common bridge; `close` ends all that ran on them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prefix = f"{NAMES}-{os.getpid()}-{uuid.uuid4().hex[:4]}-"
        self._cleanup = ExitStack()
        self._addresses: dict[str, str] = {}
        self._add_namespace("switch")
        self._in("switch", "link", "add", "bridge0", "type", "bridge")
        self._in("switch", "link", "set", "bridge0", "up")

    def add(self, name: str) -> None:
        """A host 10.77.0.x, connected."""
        self._add_namespace(name)
        self._addresses[name] = f"10.77.0.{len(self._addresses) + 1}"
        self._in("switch", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", self._prefix + name)
        self._in("switch", "link", "set", name, "master", "bridge0")
        self._in("switch", "link", "set", name, "up")
        self._in(name, "addr", "add", f"{self._addresses[name]}/24", "dev", "eth0")
        self._in(name, "link", "set", "eth0", "up")

    def start(self, host: str, *command: str, **variables: str) -> subprocess.Popen[str]:
        """Run a command on a host; its output goes to a file `<host>.log`. It dies with this process."""
        line = ["ip", "netns", "exec", self._prefix + host, "setpriv", "--pdeathsig", "KILL", *command]
        environment = (
            os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | variables
        )
        with open(self.log(host), "w") as log:
            process = subprocess.Popen(line, env=environment, stdout=log, stderr=log, text=True)
        self._cleanup.callback(process.wait)
        self._cleanup.callback(process.kill)
        return process

    def address(self, host: str) -> str:
        return self._addresses[host]

    def log(self, host: str) -> Path:
        return self._folder / f"{host}.log"

    def cut(self, host: str) -> None:
        """Take the host's link down: its processes live on, nothing is heard of them."""
        self._in(host, "link", "set", "eth0", "down")

    def kill(self, host: str) -> None:
        """kill -9 for every process of the host."""
        for pid in ip("netns", "pids", self._prefix + host).split():
            os.kill(int(pid), signal.SIGKILL)

    def close(self) -> None:
        self._cleanup.close()

    def _add_namespace(self, name: str) -> None:
        ip("netns", "add", self._prefix + name)
        self._cleanup.callback(ip, "netns", "del", self._prefix + name)
        self._cleanup.callback(self.kill, name)
        self._in(name, "link", "set", "lo", "up")

    def _in(self, name: str, *arguments: str) -> None:
        ip("-n", self._prefix + name, *arguments)


def remove_abandoned() -> None:
    """Namespaces of a test that was killed: its processes died with it, the names stay."""
    for line in ip("netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(f"{NAMES}-") and not Path("/proc", name.split("-")[2]).exists():
            ip("netns", "del", name)


@contextmanager
def network(folder: Path) -> Iterator[Hosts]:
    """Hosts whose logs lie in a folder; ends all of them. Skips the test where no namespaces can be made."""
    for tool, package in (("ip", "iproute2"), ("setpriv", "util-linux")):
        if shutil.which(tool) is None:
            pytest.skip(f"`{tool}` is not installed: apt-get install {package}")
    remove_abandoned()
    probe = f"{NAMES}-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"network namespaces cannot be made here (they need root): {made.stderr.strip()}")
    ip("netns", "del", probe)
    hosts = Hosts(folder)
    try:
        yield hosts
    finally:
        hosts.close()
