"""What only a process of its own can show: full disks, closed outputs, other users, bombs in little memory.

The limit on the size of files stands for a disk that is full. Each line of docs/promises.md that names this file is a
test here.
"""

import io
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attacked_desk import TESTED, another_user, lay_out, run, state_of
from full_disk import NOTHING_KEPT, limit_files
from PIL import Image
from places import PYTHONPATH
from waiting import wait_until

from manifests.commands.endings import ENDING_SIGNALS
from manifests.errors import InputError
from manifests.files import arrays, parquet
from manifests.files.temporary import remove_left_behind
from manifests.masks import load_mask
from pipeline.sources.listing import list_sources
from training.data.views import decode_image

pytestmark = pytest.mark.timeout(600)
SCORE = ("training", "score", "--maps", "maps.npz", "--truth", "vggss.json")
PRETRAIN = ("training", "pretrain", "--src", "objects", "--blocks", "1,1", "--width", "4", "--image-size", "16",
            "--epochs", "1", "--batch-size", "2")  # fmt: skip
WRITERS = {
    "score": SCORE,
    "pretrain": PRETRAIN,
    "annotate": ("pipeline", "annotate", "--truth", "own.parquet", "--format", "parquet"),
    "splits": ("pipeline", "splits", "vggsound.csv", "--out", "splits.json"),
    "random-knn": ("index", "random-knn", "--k", "3", "--out", "drawn"),
    "embed": ("index", "embed", "--out", "embeddings"),
    "report": ("training", "report", "runs/tiny", "--shards", "shards"),
    "evaluate": ("training", "evaluate", "runs/tiny", "--device", "cpu", "--protocol", "slavc_relative"),
    "train": ("training", "run", "tiny.yaml", "name=full", "--device", "cpu"),
    "synth": ("pipeline", "synth", "--out", "synth", "--clips", "2", "--workers", "1"),
}
QUICK = ("splits", "annotate")  # they import no torch


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = lay_out(tmp_path_factory.mktemp("attacked") / "desk")
    for line in ("training run tiny.yaml --device cpu", "training evaluate runs/tiny --device cpu"):
        assert run(*line.split(), at=desk).code == 0
    return desk


@pytest.fixture
def desk(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "desk"))


def started(package: str, *words: str, at: Path, **how: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", f"from {package}.cli import main; main()", *words]
    environment = os.environ | {"PYTHONPATH": PYTHONPATH} | NOTHING_KEPT
    return subprocess.run(line, cwd=at, env=environment, text=True, check=False, **({"capture_output": True} | how))


def in_words(ended: subprocess.CompletedProcess[str], code: int) -> str:
    said = ended.stderr or ""
    assert ended.returncode == code, said
    assert "Traceback" not in said + (ended.stdout or "")
    assert len(said) < 5000
    return said


def fill_up(name: str, desk: Path) -> None:
    before = state_of(desk)
    ended = started(*WRITERS[name], at=desk, preexec_fn=limit_files(300))
    assert "File too large" in in_words(ended, 1)
    left = [path for path in state_of(desk).keys() - before.keys() if ".tmp" in path or ".partial" in path]
    assert not left


@pytest.mark.parametrize("name", QUICK)
def test_a_full_disk_is_said_and_leaves_no_temporary_file(name: str, desk: Path) -> None:
    fill_up(name, desk)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WRITERS if name not in QUICK])
def test_so_it_is_for_every_command_that_writes(name: str, desk: Path) -> None:
    fill_up(name, desk)


def test_an_output_that_is_full_closed_or_left_is_said(desk: Path) -> None:
    with open("/dev/full", "w") as full:
        ended = started("training", "protocols", at=desk, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert "No space left" in in_words(ended, 1)
    reading, writing = os.pipe()
    os.close(reading)
    ended = started("training", "methods", at=desk, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert "ended before all of it was written" in in_words(ended, 1)
    closed = lambda: os.close(1)  # noqa: E731
    ended = started("training", "methods", at=desk, capture_output=False, stderr=subprocess.PIPE, preexec_fn=closed)
    assert "Standard output is closed" in in_words(ended, 1)


@pytest.mark.parametrize("line", [SCORE, WRITERS["splits"][:3]], ids=["score", "splits"])
def test_a_folder_that_may_not_be_written_is_said(line: tuple[str, ...], desk: Path) -> None:
    assert run(*line, "--out", "old.json", at=desk).code == 0
    desk.chmod(0o555)
    try:
        with another_user(desk):
            ended = run(*line, "--out", "new.json", at=desk)
        assert ended.code == 2, ended
        assert "cannot be written: Permission denied" in ended.err
    finally:
        desk.chmod(0o755)


def test_files_that_may_not_be_read_become_a_sentence_or_a_line(desk: Path) -> None:
    """The truth, and a folder that may be listed and not searched."""
    videos = desk / "videos"
    (videos / "hidden").mkdir(parents=True)
    for place in (videos, videos / "hidden"):
        (place / "a.mp4").write_bytes(b"no video")
    inspect = ("pipeline", "inspect", "videos")
    assert run(*SCORE, at=desk).code == run(*inspect, at=desk).code == 0
    (videos / "hidden").chmod(0o444)
    (desk / "vggss.json").chmod(0o000)
    with another_user(desk):
        scored, inspected = run(*SCORE, at=desk), run(*inspect, at=desk)
    (videos / "hidden").chmod(0o755)
    assert scored.code == 2
    assert "Permission denied" in scored.err
    assert inspected.code == 0, inspected
    assert "cannot be looked at: Permission denied" in inspected.out


# --- more than a machine has -----------------------------------------------------------------------------------------


def test_maps_that_unpack_to_more_than_they_may_are_refused(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small numbers stand for large ones."""
    monkeypatch.setattr(arrays, "MOST_UNPACKED", 1 << 20)
    np.savez_compressed(desk / "maps.npz", names=np.array(TESTED), maps=np.zeros((4, 1024, 1024), np.float32))
    ended = run(*SCORE, at=desk)
    assert (ended.code, "unpacks to more than" in ended.err) == (2, True)


@pytest.mark.slow
def test_maps_that_unpack_to_gigabytes_are_refused_in_little_memory(desk: Path) -> None:
    """3.9 GB of zeros in 3.8 MB, in a process that may have 3 GB with all its libraries."""
    header = np.lib.format.header_data_from_array_1_0(np.zeros(1, np.float32)) | {"shape": (1, 31000, 31000)}
    with zipfile.ZipFile(desk / "maps.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("maps.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for _ in range(31000):
                member.write(bytes(4 * 31000))
        with archive.open("names.npy", "w") as member:
            np.save(member, np.array(TESTED[:1]))
    assert (desk / "maps.npz").stat().st_size < 5 << 20
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert "unpacks to more than" in in_words(started(*SCORE, at=desk), 2)
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert max(after - before, 0) < 1 << 20  # KiB


def test_a_table_that_unpacks_to_more_than_it_may_is_refused(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small numbers stand for large ones: a text, said once in the file and meant 200,000 times."""
    monkeypatch.setattr(parquet, "MOST_UNPACKED", 1 << 20)
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(200_000, np.int32)), pa.array(["x" * 500]))
    pq.write_table(pa.table({"key": column.cast(pa.string())}), desk / "own.parquet", compression="zstd")
    assert (desk / "own.parquet").stat().st_size < 20_000
    ended = run(*SCORE[:5], "own.parquet", "--format", "parquet", at=desk)
    assert (ended.code, "unpacks to more than" in ended.err) == (2, True), ended


def test_a_mask_of_a_billion_pixels_is_refused(tmp_path: Path) -> None:
    Image.new("1", (8, 8)).save(tmp_path / "mask.png")
    content = bytearray((tmp_path / "mask.png").read_bytes())
    content[16:24] = struct.pack(">II", 30000, 30000)  # the size, which the header's checksum goes with
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "mask.png").write_bytes(content)
    with pytest.raises(InputError, match=r"more than twice the 50,000,000 pixels|50,000,000 in all are the most"):
        load_mask(tmp_path / "mask.png", None)


def test_a_frame_of_a_billion_pixels_in_a_shard_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    at = content.index(b"\xff\xc0") + 5
    assert decode_image(bytes(content)).shape == (3, 48, 64)
    content[at : at + 4] = b"\xff\xf0\xff\xf0"
    with pytest.raises(ValueError, match=r"65520 x 65520 pixels"):
        decode_image(bytes(content))


@pytest.mark.slow
def test_a_reader_that_is_killed_ends_a_run_in_words(desk: Path) -> None:
    """By the kernel, when memory is short; the run goes on when it is started again."""
    words = ("run", "tiny.yaml", "name=killed", "data.workers=2", "optim.epochs=3000", "--device", "cpu")
    line = [sys.executable, "-c", "from training.cli import main; main()", *words]
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    with subprocess.Popen(
        line, cwd=desk, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        while run.poll() is None:  # a reader that had read all of its epoch by then is missed by nobody
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(run.pid).children():
                    if child.name() == "pt_data_worker":
                        child.kill()
            time.sleep(0.2)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 1, said
    assert "A process that reads the shards was killed" in said
    assert "Traceback" not in said


LONG = {  # commands that take minutes
    "synth": ("pipeline", "synth", "--out", "long", "--clips", "2000", "--workers", "2"),
    "compose": ("pipeline", "compose", "--pictures", "cutouts", "--sounds", "sounds", "--out", "long", "--clips",
                "2000", "--workers", "2"),
    "ingest": ("pipeline", "ingest", "--src", "many", "--out", "long", "--workers", "1"),
    "pretrain": (*PRETRAIN[:-4], "--epochs", "90000", "--batch-size", "2", "--out", "long.safetensors"),
}  # fmt: skip


@contextmanager
def working(name: str, desk: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A long command in the middle of its work, and the processes that it has started."""
    (desk / "many").mkdir()
    for number in range(3000):
        (desk / "many" / f"{number:011d}_000000.mp4").hardlink_to(next((desk / "src").iterdir()))
    package, *words = LONG[name]
    line = [sys.executable, "-c", f"from {package}.cli import main; main()", *words]
    (desk / "temporary").mkdir()
    environment = os.environ | {"PYTHONPATH": PYTHONPATH, "TMPDIR": str(desk / "temporary")}
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, cwd=desk, env=environment, start_new_session=True, **piped) as command:
        signs = {"ingest": "long/plan/options.json", "synth": "long/options.json", "compose": "long/options.json"}
        if name in signs:
            wait_until((desk / signs[name]).exists, 200)
        time.sleep(4)
        yield command, psutil.Process(command.pid).children(recursive=True)


@pytest.mark.slow
@pytest.mark.parametrize("sent", ENDING_SIGNALS, ids=lambda sent: sent.name)
@pytest.mark.parametrize("name", LONG)
def test_a_signal_ends_a_command_in_words_and_leaves_no_pieces(name: str, sent: signal.Signals, desk: Path) -> None:
    with working(name, desk) as (command, children):
        os.kill(command.pid, sent)
        _, said = command.communicate(timeout=100)
        assert command.returncode == 75, said
        assert f"stopped: {sent.name} asked the command to end" in said
        assert "Traceback" not in said
        _, alive = psutil.wait_procs(children, 20)
    assert not alive
    assert not list((desk / "temporary").iterdir())
    left = [
        path for path in state_of(desk) if ".tmp" in path or ".partial" in path or path.endswith((".lock", "/lock"))
    ]
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_the_processes_of_a_killed_command_end_with_it(name: str, desk: Path) -> None:
    with working(name, desk) as (command, children):
        os.kill(command.pid, signal.SIGKILL)
        command.wait()
        _, alive = psutil.wait_procs(children, 30)
        for process in alive:
            process.kill()
    assert not alive
    remove_left_behind(desk / "temporary")  # as the next command does
    assert not list((desk / "temporary").iterdir())


def test_a_tree_deeper_than_the_stack_is_listed(tmp_path: Path) -> None:
    """1,500 folders within one another, a clip in the last one; beside it a file that is gone when it is looked at."""
    home = os.getcwd()
    (tmp_path / "src").mkdir()
    os.chdir(tmp_path / "src")
    try:
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
        Path("deep.mp4").write_bytes(b"x")
    finally:
        os.chdir(home)
    listing = list_sources([tmp_path / "src"])
    assert [clip.key for clip in listing.clips] == ["deep"]
    subprocess.run(["rm", "-rf", tmp_path / "src"], check=True)  # too deep for python's own way


def test_a_file_that_vanishes_while_it_is_listed_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gone.mp4", "stays.mp4", "gone.tar.gz"):
        (tmp_path / name).write_bytes(b"x")
    real = Path.stat

    def vanished(path: Path, **how: object) -> os.stat_result:
        if path.name.startswith("gone"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return real(path, **how)

    monkeypatch.setattr(Path, "stat", vanished)
    listing = list_sources([tmp_path], memory=tmp_path / "memory")
    assert [clip.key for clip in listing.clips] == ["stays"]
    assert {item.path: item.reason for item in listing.refusals} == dict.fromkeys(
        ("gone.mp4", "gone.tar.gz"), "unreadable"
    )


PAX = [
    {"size": "99999999999999999999"}, {"size": "-1"}, {"size": "many"}, {"size": "1e9"}, {"mtime": "nan"},
    {"uid": "x" * 99}, {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    {"GNU.sparse.map": "0,1,x"}, {"GNU.sparse.map": "1"},
    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99999999999999999999"},
    {"GNU.sparse.size": "9" * 40, "GNU.sparse.numblocks": "-5"}, {"path": "a\0b.mp4"}, {"path": "../" * 500 + "x.mp4"},
]  # fmt: skip


@pytest.mark.parametrize("headers", PAX, ids=[str(number) for number in range(len(PAX))])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_an_archive_with_impossible_headers_costs_itself_alone(
    headers: dict[str, str], suffix: str, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / f"a{suffix}", f"w:{suffix[5:]}", format=tarfile.PAX_FORMAT) as archive:
        for name, extra in (("first.mp4", {}), ("hostile.mp4", headers), ("last.mp4", {})):
            info = tarfile.TarInfo(name)
            info.pax_headers, info.size = extra, 512
            archive.addfile(info, io.BytesIO(b"5\n" * 256))
    (tmp_path / "loose.mp4").write_bytes(b"x")
    listing = list_sources([tmp_path])
    keys = {clip.key for clip in listing.clips}
    assert {"first", "loose"} <= keys
    assert len(listing.clips) + len(listing.refusals) >= 3
