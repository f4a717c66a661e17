"""Decoders that die, hang, lack room or vanish cost their own clip at most."""

import json
import os
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fake_ingest import corpus, planned, rejects, request_for
from imageio_ffmpeg import get_ffmpeg_exe
from ingest_here import no_cluster

from manifests.errors import WorkFailed
from pipeline.ingest import run_ingest
from pipeline.jobs.attempt_log import Journal
from pipeline.jobs.shard_job import ingest_shards, marker_path
from pipeline.shards.record import Rejected
from pipeline.shards.store import ShardStore

pytestmark = pytest.mark.usefixtures("decoded")


@pytest.fixture
def worker_here() -> Iterator[None]:
    """The worker is this process, its decoder a child."""
    with no_cluster():
        yield


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
    counts = ingest_shards(out, 0, 1, timeout=2.0)
    assert (counts.records, counts.reasons) == (2, {"timeout": 1, "decoder_crash": 1})
    assert decoded() == ["ok 1", "hang", "ok 2"]
    (hung, crashed) = json.loads(marker_path(out, 0).read_bytes())["rejects"]
    assert hung["message"] == "no answer within 2 seconds"
    assert crashed["message"] == "seen by an earlier attempt"


@pytest.mark.slow
def test_five_crashing_clips_in_a_thousand_leave_995(tmp_path: Path) -> None:
    contents = [f"ok {number}" if number % 200 != 77 else "segv" for number in range(1000)]
    out = tmp_path / "out"
    plan = planned(request_for(corpus(tmp_path / "src", *contents), out, shard_clips=1000))
    assert [len(clips) for clips in plan.shards] == [1000]
    counts = ingest_shards(out, 0, 1, timeout=20.0)
    assert (counts.records, counts.reasons) == (995, {"decoder_crash": 5})


@pytest.mark.usefixtures("worker_here")
def test_a_decoder_that_cannot_start_is_no_clips_fault(tmp_path: Path) -> None:
    request = request_for(corpus(tmp_path / "src", "ok 1"), tmp_path / "out", decoder="no_such_module:decode")
    with pytest.raises(WorkFailed, match="no_such_module"):
        run_ingest(request)


@pytest.mark.slow
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


@pytest.mark.usefixtures("worker_here")
def test_the_way_to_a_clip_in_a_compressed_archive_is_not_the_clips_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SLOW_SKIP", "1.5")
    (tmp_path / "src").mkdir()
    with tarfile.open(tmp_path / "src" / "clips.tar.gz", "w:gz") as archive:
        for path in sorted(corpus(tmp_path / "loose", "ok 1", "hang", "ok 2").iterdir()):
            archive.add(path, path.name)
    run_ingest(request_for(tmp_path / "src", tmp_path / "out", timeout=1.0))
    assert rejects(tmp_path / "out") == {"clips.tar.gz!c001.mp4": "timeout"}


@pytest.mark.usefixtures("worker_here")
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
    request = request_for(source, tmp_path / "out", decoder="ffmpeg", timeout=2.0)
    with pytest.raises(WorkFailed):
        run_ingest(request)
    assert rejects(tmp_path / "out") == {"c0.mp4": "timeout"}
    assert _is_dead(int((tmp_path / "pid").read_text()))
    assert [path for path in scratch.rglob("*") if path.name == "content"] == []


@pytest.mark.usefixtures("worker_here")
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
