"""Ingest killed, doubled or out of room: the same command gives the same bytes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_ingest import FAKE, corpus, fingerprints, planned, request_for
from full_disk import NOTHING_KEPT, limit_files
from ingest_here import ingest_here
from places import PYTHONPATH

from manifests.errors import InputError
from pipeline.ingest import run_ingest
from pipeline.jobs.attempt_log import Journal
from pipeline.jobs.decoder_messages import ClipToDecode, DecodedMembers
from pipeline.jobs.decoder_process import RecordMaker
from pipeline.jobs.options import IngestOptions
from pipeline.jobs.plan import load_head, load_shard
from pipeline.jobs.shard_job import ShardJob, is_whole, marker_path
from pipeline.shards.record import Rejected
from pipeline.shards.store import ShardStore

pytestmark = pytest.mark.usefixtures("decoded")


# --- interruptions ---------------------------------------------------------------------------------------------------

COMMAND = """
import sys
from pathlib import Path
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.jobs.options import IngestOptions
if __name__ == "__main__":
    source, out = map(Path, sys.argv[1:3])
    options = IngestOptions(decoder="fake_decoders:decode", shard_clips=int(sys.argv[3]))
    run_ingest(IngestRequest((source,), out, options, workers=1))
"""


def start(
    tmp_path: Path, source: Path, out: Path, *more: object, script: str = COMMAND, **popen: object
) -> subprocess.Popen[str]:
    """The command in a process of its own; `more` follows source and out on its command line."""
    path = tmp_path / "command.py"
    path.write_text(script)
    environment = os.environ | {"PYTHONPATH": PYTHONPATH} | NOTHING_KEPT
    arguments = [sys.executable, str(path), str(source), str(out), *map(str, more)]
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True, **popen)


def wait_until(condition: Callable[[], bool], seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_kill_9_then_the_same_command_gives_the_same_bytes(tmp_path: Path, decoded: Callable[[], list[str]]) -> None:
    source = corpus(tmp_path / "src", *(f"sleep 0.1 {number}" for number in range(12)))
    out = tmp_path / "out"
    process = start(tmp_path, source, out, 4)
    wait_until(lambda: marker_path(out, 0).exists() and len(decoded()) >= 6)
    process.kill()
    process.communicate()
    finished = {number for number in range(3) if marker_path(out, number).exists()}
    assert 0 in finished
    assert 2 not in finished
    assert {path.name for path in out.glob("shard*")} <= {"shard-000000.tar", "shard-000001.tar"}
    with pytest.raises(InputError, match="unfinished"):
        ShardStore.open(out)

    before = -1
    while before != len(decoded()):  # the worker notices its parent's death within moments
        before = len(decoded())
        time.sleep(0.5)
    request = request_for(source, out, shard_clips=4)
    with ingest_here():
        run_ingest(request)
        again = set(decoded()[before:])
        run_ingest(replace(request, out=tmp_path / "undisturbed"))
    assert again == {f"sleep 0.1 {clip}" for clip in range(12) if clip // 4 not in finished}
    assert not list(out.glob(".*.tmp*"))
    assert fingerprints(out) == fingerprints(tmp_path / "undisturbed")


KILLED = """
import importlib, os, signal, sys
from pathlib import Path
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.jobs.options import IngestOptions

def kill_all_at(module, name, call):
    "Every process of the run ends when one of them makes this call of module.name for the given time."
    place = importlib.import_module(module)
    real, made = getattr(place, name), 0
    def deadly(*arguments, **options):
        nonlocal made
        made += 1
        if made == call:
            os.killpg(0, signal.SIGKILL)
        return real(*arguments, **options)
    setattr(place, name, deadly)

kill_all_at(sys.argv[3], sys.argv[4], int(sys.argv[5]))  # workers import this file too
if __name__ == "__main__":
    source, out = map(Path, sys.argv[1:3])
    options = IngestOptions(decoder="fake_decoders:decode", shard_clips=4)
    run_ingest(IngestRequest((source,), out, options, workers=1))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "module", "name", "call", "tars"),
    [
        ("the clips are planned, the plan not closed", "pipeline.jobs.plan", "save_head", 1, 0),
        ("the first shard is begun", "pipeline.jobs.shard_job", "load_shard", 1, 0),
        ("half of the second tar is written", "pipeline.jobs.shard_job", "manifest_row", 7, 1),
        ("the second tar is there, its rows are not", "pipeline.jobs.shard_job", "rows_path", 2, 2),
        ("the second shard is finished, its journal there", "pipeline.jobs.shard_job", "forget", 2, 2),
        ("the manifest is there, the rejects are not", "pipeline.jobs.totals", "_write_table", 2, 3),
        ("all is there but the index", "pipeline.jobs.totals", "write_whole", 1, 3),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and " " in value else None,
)
def test_kill_9_at_this_moment(tmp_path: Path, moment: str, module: str, name: str, call: int, tars: int) -> None:
    source = corpus(tmp_path / "src", *(f"ok {number}" for number in range(10)), "no_audio", "segv")
    out = tmp_path / "out"
    process = start(tmp_path, source, out, module, name, call, script=KILLED, start_new_session=True)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, moment
    assert not (out / "index.json").exists()
    visible = {path.name: path.read_bytes() for path in out.glob("shard*")}
    assert len(visible) == tars
    request = request_for(source, out, shard_clips=4)
    run_ingest(request)
    assert {name: (out / name).read_bytes() for name in visible} == visible, "a half tar was visible"
    run_ingest(replace(request, out=tmp_path / "undisturbed"))
    assert fingerprints(out) == fingerprints(tmp_path / "undisturbed")
    assert not [*out.rglob(".*"), *out.glob("journal/*")]


class OneTooSlow:
    """A decoder in whose hands one clip takes too long."""

    def __init__(self, key: str) -> None:
        self._key, self._maker = key, RecordMaker(IngestOptions(decoder=FAKE))

    def decode(self, clip: ClipToDecode, timeout: float) -> DecodedMembers:
        if Path(clip.file).stem == self._key:
            raise Rejected("timeout", f"no answer within {timeout:g} seconds")
        return self._maker.make(clip)


@pytest.mark.usefixtures("here")
def test_two_workers_that_cross_in_one_shard_leave_none_of_it(tmp_path: Path) -> None:
    """One was thought lost and goes on: its tar comes last, the rows and the marker are the other's."""
    request = request_for(corpus(tmp_path / "src", "ok 1", "ok 2", "ok 3"), tmp_path / "out")
    planned(request)
    out, clips = tmp_path / "out", load_shard(tmp_path / "out" / "plan", 0)
    first, second = (ShardJob(out, 0, *load_head(out / "plan"), OneTooSlow(key), 20.0) for key in ("", "c000"))
    journals = [Journal(out / "journal", 0) for _ in range(2)]
    tar_of_second = second._write(clips, journals[1])
    tar_of_first = first._write(clips, journals[0])
    first._publish(clips, tar_of_first)
    assert is_whole(out, 0)
    second._publish(clips, tar_of_second)
    assert not is_whole(out, 0)
    run_ingest(request)
    store = ShardStore.open(out)
    assert [store.facts(row)["key"] for row in range(len(store))] == store.keys == ["c001", "c002"]


def test_two_ingests_into_one_folder(tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "src", "sleep 5"), tmp_path / "out"
    process = start(tmp_path, source, out, 4)
    wait_until((out / "plan" / "options.json").exists)
    with pytest.raises(InputError, match="Another ingest"):
        run_ingest(request_for(source, out))
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_the_same_command_continues(tmp_path: Path) -> None:
    """The tar of 8 clips does not fit."""
    source, out = corpus(tmp_path / "src", *(f"ok {number}" for number in range(8))), tmp_path / "out"
    process = start(tmp_path, source, out, 8, preexec_fn=limit_files(400_000))
    errors = process.communicate()[1]
    assert "WorkFailed" in errors
    assert "free space" in errors
    assert [path.name for path in out.iterdir() if path.is_file()] == []
    run_ingest(request_for(source, out, shard_clips=8))
    assert len(ShardStore.open(out)) == 8
