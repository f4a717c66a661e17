"""Ingest over several hosts, a scheduler, two workers and the command: one host or its link is lost in the middle."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest
from hosts import Hosts, network
from places import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
INGEST = [sys.executable, "-c", "from pipeline.cli import main; main()", "ingest"]
CLIPS, SHARD_CLIPS = 40, 4
SECONDS = 400.0  # a loaded machine starts Dask slowly


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with network(tmp_path) as linked:
        yield linked


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
