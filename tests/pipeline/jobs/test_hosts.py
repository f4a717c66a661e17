"""Ingest over several hosts: network namespaces with addresses of their own, one host or its link lost in the middle.

A bridge connects a scheduler, two workers and the command; nothing of the machine's own network is touched. The hosts
share the file system, as cluster nodes share theirs.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import imageio_ffmpeg
import pytest
from places import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
INGEST = [sys.executable, "-c", "from pipeline.cli import main; main()", "ingest"]
CLIPS, SHARD_CLIPS = 40, 4
NAMES = "ingest-test"  # of the namespaces; the process that made one follows
SECONDS = 400.0  # a loaded machine starts Dask slowly


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

    def start(self, host: str, *command: str) -> subprocess.Popen[str]:
        """Run a command on a host; its output goes to a file `<host>.log`. It dies with this process."""
        line = ["ip", "netns", "exec", self._prefix + host, "setpriv", "--pdeathsig", "KILL", *command]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
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


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    for tool, package in (("ip", "iproute2"), ("setpriv", "util-linux")):
        if shutil.which(tool) is None:
            pytest.skip(f"`{tool}` is not installed: apt-get install {package}")
    remove_abandoned()
    probe = f"{NAMES}-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"network namespaces cannot be made here (they need root): {made.stderr.strip()}")
    ip("netns", "del", probe)
    network = Hosts(tmp_path)
    try:
        yield network
    finally:
        network.close()


@pytest.fixture(scope="module", autouse=True)
def one_ffmpeg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The binary that comes with the project, whatever else is installed: its version shows in the bytes."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def source(clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty videos of four contents, one without sound and one that is no video."""
    folder = tmp_path_factory.mktemp("hosts") / "src"
    folder.mkdir()
    made = [clips.plain(f"hosts-{seconds}.mp4", seconds=seconds) for seconds in (4.0, 5.0, 6.0, 7.0)]
    for number in range(CLIPS - 2):
        shutil.copyfile(made[number % 4], folder / f"clip{number:02d}.mp4")
    clips.remux(made[0], "hosts-mute.mp4", an=None, c="copy").rename(folder / "mute.mp4")
    (folder / "text.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def undisturbed(source: Path) -> dict[str, str]:
    """What a run on this machine alone makes of it."""
    out = source.parent / "undisturbed"
    command = [*INGEST, *arguments(source, out), "--workers", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return fingerprints(out)


def arguments(source: Path, out: Path) -> list[str]:
    """The ffmpeg decoder starts processes for every clip: slow enough to lose a host while it decodes."""
    return ["--src", str(source), "--out", str(out), "--shard-clips", str(SHARD_CLIPS), "--decoder", "ffmpeg"]


def fingerprints(out: Path) -> dict[str, str]:
    """Hash of every file of a finished folder, but those of the plan (they name the source folder) and of the journal
    (a worker that is cut off goes on for a while)."""
    files = [path for folder in (out, out / "done") for path in folder.glob("[!.]*") if path.is_file()]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


class Run:
    """`pipeline ingest --scheduler` on the host `client`, with a scheduler and two workers on hosts of their own."""

    def __init__(self, hosts: Hosts, source: Path, out: Path, wait_until: Callable[..., None]) -> None:
        self.hosts, self.out, self._wait = hosts, out, wait_until
        for name in ("scheduler", "first", "second", "client"):
            hosts.add(name)
        self.scheduler = f"tcp://{hosts.address('scheduler')}:8786"
        dask = [sys.executable, "-m", "dask"]
        listen = ["--host", hosts.address("scheduler"), "--port", "8786", "--no-dashboard"]
        hosts.start("scheduler", *dask, "scheduler", *listen)
        wait_until(lambda: "Scheduler at" in hosts.log("scheduler").read_text(), SECONDS)
        for name in ("first", "second"):
            where = ["--host", hosts.address(name), "--local-directory", str(out.parent / name)]
            hosts.start(name, *dask, "worker", self.scheduler, "--nthreads", "1", "--no-dashboard", *where)
        wait_until(lambda: all("Registered to" in hosts.log(name).read_text() for name in ("first", "second")), SECONDS)
        self.process = hosts.start("client", *INGEST, *arguments(source, out), "--scheduler", self.scheduler)

    def in_the_middle(self) -> None:
        """Wait until a shard is finished and each worker is at work on another."""
        self._wait(lambda: self.finished() >= 1 and len(list((self.out / "journal").glob("*"))) == 2, SECONDS)
        assert self.finished() <= CLIPS // SHARD_CLIPS - 4, "too late to lose anything"

    def finished(self) -> int:
        return len(list((self.out / "done").glob("*.json")))

    def ends(self) -> tuple[int, str]:
        """Exit code and output of the command."""
        return self.process.wait(timeout=SECONDS), self.hosts.log("client").read_text()


@pytest.mark.parametrize("loss", ["kill", "cut"])
def test_a_lost_worker_costs_nothing(hosts, source, undisturbed, tmp_path, wait_until, loss: str) -> None:
    run = Run(hosts, source, tmp_path / "out", wait_until)
    run.in_the_middle()
    getattr(hosts, loss)("first")
    code, shown = run.ends()
    assert code == 0, shown
    assert fingerprints(run.out) == undisturbed
    assert loss == "cut" or not [*run.out.rglob(".*"), *run.out.glob("journal/*")], "the dead host's leftovers stay"
    assert "Remove worker" in hosts.log("scheduler").read_text()  # it was lost, and noticed, before the end


def test_a_lost_scheduler_is_a_paragraph_and_the_command_continues_anywhere(
    hosts, source, undisturbed, tmp_path, wait_until
) -> None:
    run = Run(hosts, source, tmp_path / "out", wait_until)
    run.in_the_middle()
    hosts.kill("scheduler")
    code, shown = run.ends()
    assert code == 1, shown
    assert "The Dask cluster was lost" in shown
    assert "Traceback" not in shown
    for name in ("first", "second"):
        hosts.kill(name)
    again = hosts.start("client", *INGEST, *arguments(source, tmp_path / "out"), "--workers", "1")
    assert again.wait(timeout=SECONDS) == 0, hosts.log("client").read_text()
    assert fingerprints(tmp_path / "out") == undisturbed
