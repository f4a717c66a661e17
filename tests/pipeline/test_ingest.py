"""Ingest as a whole, with a decoder that obeys: every verdict, every kind of death, every interruption."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fake_ingest import FAKE, corpus, fingerprints, planned, rejects, request_for
from imageio_ffmpeg import get_ffmpeg_exe
from places import PYTHONPATH

from manifests.errors import InputError, WorkFailed
from pipeline.ingest import prepare, run_ingest
from pipeline.jobs.attempt_log import Journal
from pipeline.jobs.cluster import connected, run_all
from pipeline.jobs.decoder_messages import ClipToDecode, DecodedMembers
from pipeline.jobs.decoder_process import RecordMaker
from pipeline.jobs.options import IngestOptions, automatic_shard_clips
from pipeline.jobs.plan import load_head, load_shard
from pipeline.jobs.shard_job import ShardJob, ingest_shards, is_whole, marker_path
from pipeline.media.front_ends import DEFAULT
from pipeline.shards.record import Rejected
from pipeline.shards.store import ShardStore

pytestmark = pytest.mark.usefixtures("decoded")


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = corpus(tmp_path / "src", *(f"ok {number}" for number in range(10)), "no_audio")
    (source / "AbCdEfGh_-1_30000_40000.mp4").write_text("ok named")
    (source / "vggsound.csv").write_text('AbCdEfGh_-1,30,"fly, housefly buzzing",test\n')
    for workers, out in ((1, tmp_path / "one"), (2, tmp_path / "two")):
        run_ingest(request_for(source, out, workers=workers, shard_clips=3))
    assert fingerprints(tmp_path / "one") == fingerprints(tmp_path / "two")

    store = ShardStore.open(tmp_path / "one")
    assert store.keys == ["AbCdEfGh_-1_000030", *(f"c{number:03d}" for number in range(10))]
    assert store.facts(0)["label"] == "fly, housefly buzzing"
    assert [store.facts(row)["moment"] for row in (0, 1)] == [5.0, 1.0]  # annotated for VGGSound names only
    assert store.front_end == store.facts(0)["front_end"] == DEFAULT
    assert DEFAULT.endswith("-v1")  # a change of the front end's numbers is another version
    assert rejects(tmp_path / "one") == {"c010.mp4": "no_audio"}
    assert not list((tmp_path / "one" / "journal").iterdir())
    shown = capsys.readouterr().out
    assert "names 1 of these clips" in shown
    assert re.search(r"records +11\n", shown)
    assert "no_audio" in shown


def test_a_finished_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], decoded: Callable) -> None:
    request = request_for(corpus(tmp_path / "src", "ok 1", "no_audio"), tmp_path / "out")
    run_ingest(request)
    before, seen = fingerprints(tmp_path / "out"), decoded()
    run_ingest(request)
    assert "already finished" in capsys.readouterr().out
    assert (fingerprints(tmp_path / "out"), decoded()) == (before, seen)


# --- decoders that die or hang ---------------------------------------------------------------------------------------


def test_deadly_clips_cost_exactly_themselves(tmp_path: Path, decoded: Callable[[], list[str]]) -> None:
    """Five ways to take a decoder down, and a clip at which the worker dies three times, in one shard."""
    deadly = ["segv", "exit", "raise", "segv again", "kill", "worker"]
    contents = [content for death in deadly for content in (f"ok before {death}", death, f"print {death}")]
    run_ingest(request_for(corpus(tmp_path / "src", *contents), tmp_path / "out", timeout=60.0))

    names = {content: f"c{number:03d}.mp4" for number, content in enumerate(contents)}
    assert rejects(tmp_path / "out") == {names[death]: "decoder_crash" for death in deadly}
    assert len(ShardStore.open(tmp_path / "out")) == len(contents) - len(deadly)
    calls = Counter(decoded())
    assert {death: calls[death] for death in deadly} == {
        **dict.fromkeys(deadly, 1),  # a verdict outlives the worker: nobody decodes them again after it died
        "kill": 2,  # killed from outside may be chance once
        "worker": 3,  # a worker that dies may be chance twice
    }
    messages = {row["path"]: row["message"] for row in pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()}
    assert messages[names["segv"]] == "the decoder was killed by SIGSEGV"
    assert "a defect in the decoder" in messages[names["raise"]]


def test_a_hanging_decoder_is_ended_and_its_clip_not_tried_again(tmp_path: Path, decoded: Callable) -> None:
    out = tmp_path / "out"
    planned(request_for(corpus(tmp_path / "src", "ok 1", "hang", "ok 2", "worker"), out))
    journal = Journal(out / "journal", 0)  # what an attempt leaves behind whose worker died at the last clip
    journal.rejected("c003", Rejected("decoder_crash", "seen by an earlier attempt"))
    journal.close()
    counts = ingest_shards(out, 0, 1, timeout=4.0)
    assert (counts.records, counts.reasons) == (2, {"timeout": 1, "decoder_crash": 1})
    assert decoded() == ["ok 1", "hang", "ok 2"]
    (hung, crashed) = json.loads(marker_path(out, 0).read_bytes())["rejects"]
    assert hung["message"] == "no answer within 4 seconds"
    assert crashed["message"] == "seen by an earlier attempt"


@pytest.mark.slow
def test_five_crashing_clips_in_a_thousand_leave_995(tmp_path: Path) -> None:
    contents = [f"ok {number}" if number % 200 != 77 else "segv" for number in range(1000)]
    out = tmp_path / "out"
    plan = planned(request_for(corpus(tmp_path / "src", *contents), out, shard_clips=1000))
    assert [len(clips) for clips in plan.shards] == [1000]
    counts = ingest_shards(out, 0, 1, timeout=20.0)
    assert (counts.records, counts.reasons) == (995, {"decoder_crash": 5})


def test_a_decoder_that_cannot_start_is_no_clips_fault(tmp_path: Path) -> None:
    request = request_for(corpus(tmp_path / "src", "ok 1"), tmp_path / "out", decoder="no_such_module:decode")
    with pytest.raises(WorkFailed, match="no_such_module"):
        run_ingest(request)


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
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
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
    run_ingest(request)
    again = set(decoded()[before:])
    assert again == {f"sleep 0.1 {clip}" for clip in range(12) if clip // 4 not in finished}
    assert not list(out.glob(".*.tmp*"))
    run_ingest(replace(request, out=tmp_path / "undisturbed"))
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


def test_a_full_disk_is_a_sentence_and_the_same_command_continues(tmp_path: Path) -> None:
    """The limit on file sizes stands for a disk that is full: the tar of 8 clips does not fit."""
    import resource

    source, out = corpus(tmp_path / "src", *(f"ok {number}" for number in range(8))), tmp_path / "out"
    limit = (400_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    process = start(tmp_path, source, out, 8, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    errors = process.communicate()[1]
    assert "WorkFailed" in errors
    assert "free space" in errors
    assert [path.name for path in out.iterdir() if path.is_file()] == []
    run_ingest(request_for(source, out, shard_clips=8))
    assert len(ShardStore.open(out)) == 8


def test_a_decoder_without_room_costs_no_clip_and_the_same_command_continues(tmp_path: Path) -> None:
    request = request_for(corpus(tmp_path / "src", "ok 1", "full", "ok 2"), tmp_path / "out")
    for _ in range(3):  # as often as deaths of workers would blame a clip
        with pytest.raises(WorkFailed, match=r"No space left.*the same command continues"):
            run_ingest(request)
    run_ingest(request)
    assert len(ShardStore.open(tmp_path / "out")) == 3
    assert rejects(tmp_path / "out") == {}


def test_a_disk_that_is_gone_ends_the_run_a_file_that_is_gone_is_rejected(tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "src", "ok 1", "ok 2", "ok 3"), tmp_path / "out"
    planned(request_for(source, out))
    unmounted = source.rename(tmp_path / "unmounted")
    source.mkdir()
    with pytest.raises(WorkFailed, match="is its disk mounted on every worker"):
        ingest_shards(out, 0, 1, timeout=20.0)
    source.rmdir()
    unmounted.rename(source)
    (source / "c001.mp4").unlink()
    counts = ingest_shards(out, 0, 1, timeout=20.0)
    assert (counts.records, counts.reasons) == (2, {"unreadable": 1})


def test_the_way_to_a_clip_in_a_compressed_archive_is_not_the_clips_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SLOW_SKIP", "1")
    (tmp_path / "src").mkdir()
    with tarfile.open(tmp_path / "src" / "clips.tar.gz", "w:gz") as archive:
        for path in sorted(corpus(tmp_path / "loose", "ok 1", "hang", "ok 2").iterdir()):
            archive.add(path, path.name)
    run_ingest(request_for(tmp_path / "src", tmp_path / "out", timeout=1.0))
    assert rejects(tmp_path / "out") == {"clips.tar.gz!c001.mp4": "timeout"}


def test_an_ffmpeg_that_hangs_leaves_nothing_behind(tmp_path: Path, clips, monkeypatch: pytest.MonkeyPatch) -> None:
    (source := tmp_path / "src").mkdir()
    shutil.copy(clips.once("vanishing.mp4", seconds=1.0), source / "c0.mp4")
    (own := tmp_path / "bin" / "ffmpeg").parent.mkdir()
    own.write_text(f'#!/bin/sh\necho $$ > "{tmp_path}/pid"\nexec sleep 1000\n')
    own.chmod(0o755)
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setenv("PATH", f"{own.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    request = request_for(source, tmp_path / "out", decoder="ffmpeg", timeout=3.0)
    with pytest.raises(WorkFailed):
        run_ingest(request)
    assert rejects(tmp_path / "out") == {"c0.mp4": "timeout"}
    assert _is_dead(int((tmp_path / "pid").read_text()))
    assert [path for path in scratch.rglob("*") if path.name == "content"] == []


def test_an_ffmpeg_that_vanishes_costs_no_clip(tmp_path: Path, clips, monkeypatch: pytest.MonkeyPatch) -> None:
    (source := tmp_path / "src").mkdir()
    for number in range(3):
        shutil.copy(clips.once("vanishing.mp4", seconds=1.0), source / f"c{number}.mp4")
    (own := tmp_path / "bin" / "ffmpeg").parent.mkdir()
    own.write_text(f'#!/bin/sh\nrm "$0"\nexec "{get_ffmpeg_exe()}" "$@"\n')
    own.chmod(0o755)
    request = request_for(source, tmp_path / "out", decoder="ffmpeg")
    with monkeypatch.context() as once:
        once.setenv("PATH", f"{own.parent}:{os.environ['PATH']}")
        with pytest.raises(WorkFailed, match="bin/ffmpeg cannot be started"):
            run_ingest(request)
    run_ingest(request)
    assert len(ShardStore.open(tmp_path / "out")) == 3


def _is_dead(process: int) -> bool:
    """Gone, or only waiting for an init that is in no hurry to notice."""
    status = Path(f"/proc/{process}/status")
    return not status.exists() or "State:\tZ" in status.read_text()


def test_other_options_or_sources_are_named(tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "src", "ok 1", "ok 2"), tmp_path / "out"
    planned(request := request_for(source, out))
    with pytest.raises(
        InputError, match=r"short_side was 256, now 128; moment was annotated, now 3\.0|moment.*short_side"
    ):
        prepare(replace(request, options=replace(request.options, short_side=128, moment=3.0)))
    (source / "c001.mp4").unlink()
    (source / "new.mp4").write_text("ok 3")
    (source / "c000.mp4").write_text("longer than before")
    with pytest.raises(InputError) as caught:
        prepare(request)
    message = str(caught.value)
    assert "new clips: 1 (such as new.mp4)" in message
    assert "missing clips: 1 (such as c001.mp4)" in message
    assert "clips with another size: 1 (such as c000.mp4)" in message


def test_a_moved_source_folder_continues(tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "src", "ok 1"), tmp_path / "out"
    planned(request := request_for(source, out))
    source.rename(tmp_path / "moved")
    run_ingest(replace(request, sources=(tmp_path / "moved",)))
    assert len(ShardStore.open(out)) == 1


# --- losses ----------------------------------------------------------------------------------------------------------


def test_nothing_usable_and_too_many_rejects_fail(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="None of the 2 inputs"):
        run_ingest(request_for(corpus(tmp_path / "bad", "no_audio", "no_audio"), tmp_path / "none"))
    assert not list((tmp_path / "none").glob("*.tar"))

    request = request_for(corpus(tmp_path / "src", "ok 1", "ok 2", "no_audio"), tmp_path / "out")
    with pytest.raises(WorkFailed, match="1 of 3 inputs were rejected"):
        run_ingest(replace(request, max_reject_fraction=0.3))
    with pytest.raises(InputError, match="unfinished"):
        ShardStore.open(tmp_path / "out")
    run_ingest(replace(request, max_reject_fraction=0.4))
    assert len(ShardStore.open(tmp_path / "out")) == 2


def test_every_input_is_accounted_for(tmp_path: Path) -> None:
    """Loose files, a plain tar, a compressed one, duplicates, refusals, an empty file: all in one of the two tables."""
    import io
    import tarfile

    source = corpus(tmp_path / "src", "ok 1", "no_audio", "")
    (source / "copy").mkdir()
    for name in ("AbCdEfGh_-1_000030.mp4", "copy/AbCdEfGh_-1_30000_40000.mp4"):
        (source / name).write_text("ok clip")
    (source / "leak.mp4").symlink_to("/etc/hostname")
    for archive, mode in (("a.tar", "w"), ("b.tar.gz", "w:gz")):
        with tarfile.open(source / archive, mode) as handle:
            for number in range(5):
                content = f"ok {archive} {number}".encode()
                info = tarfile.TarInfo(f"{archive[0]}{number}.mp4" if number else "../up.mp4")
                info.size = len(content)
                handle.addfile(info, io.BytesIO(content))
    out = tmp_path / "out"
    run_ingest(request_for(source, out, shard_clips=2))
    store = ShardStore.open(out)
    assert Counter(rejects(out).values()) == {"no_audio": 1, "unreadable": 1, "duplicate": 1, "refused": 3}
    members = [f"{archive}{number}" for archive in "ab" for number in range(1, 5)]
    assert sorted(store.keys) == sorted(["c000", "AbCdEfGh_-1_000030", *members])
    assert len(store) + len(rejects(out)) == 3 + 2 + 1 + 10
    assert store.facts(store.row_of("b3"))["source_path"] == "b.tar.gz!b3.mp4"
    assert store.facts(store.row_of("b3"))["source_sha256"] == hashlib.sha256(b"ok b.tar.gz 3").hexdigest()


def test_out_that_cannot_be_written(tmp_path: Path) -> None:
    source = corpus(tmp_path / "src", "ok 1")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        run_ingest(request_for(source, tmp_path / "file"))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "shard-000000.tar").write_text("someone else's")
    with pytest.raises(InputError, match="unknown origin"):
        run_ingest(request_for(source, tmp_path / "foreign"))


# --- where the work runs ---------------------------------------------------------------------------------------------


def test_workers_and_decoders_need_neither_torch_nor_webdataset(tmp_path: Path) -> None:
    import fake_decoders

    out = tmp_path / "out"
    planned(request_for(corpus(tmp_path / "src", "modules", "ok 1"), out))
    with connected(None, 1) as client:
        list(run_all(client, ingest_shards, [(out, 0, 1, 20.0)]))
        assert client.submit(fake_decoders.loaded_modules).result() == []
    (reject,) = json.loads(marker_path(out, 0).read_bytes())["rejects"]
    assert reject["message"] == "loaded: []"


def test_a_running_scheduler_is_used(tmp_path: Path) -> None:
    from distributed import LocalCluster

    out = tmp_path / "out"
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        source = corpus(tmp_path / "src", *(f"ok {number}" for number in range(4)))
        run_ingest(request_for(source, out, scheduler=cluster.scheduler_address, shard_clips=1))
    assert len(ShardStore.open(out)) == 4


def test_a_plan_of_many_clips_is_read_shard_by_shard(tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = planned(request_for(corpus(tmp_path / "src", *(f"ok {n}" for n in range(40))), out, shard_clips=7))
    for number, clips in enumerate(plan.shards):
        assert tuple(load_shard(out / "plan", number)) == clips
    assert [automatic_shard_clips(clips) for clips in (5, 10_000, 200_000)] == [64, 78, 1000]
