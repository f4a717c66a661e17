"""Ingest as a whole, with a decoder that obeys: the same bytes always, every input accounted for."""

import hashlib
import json
import re
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_ingest import corpus, fingerprints, planned, rejects, request_for
from ingest_here import ingest_here

from manifests.errors import InputError, WorkFailed
from pipeline.ingest import prepare, run_ingest
from pipeline.jobs.cluster import connected, run_all
from pipeline.jobs.options import automatic_shard_clips
from pipeline.jobs.plan import load_shard
from pipeline.jobs.shard_job import ingest_shards, marker_path
from pipeline.media.front_ends import DEFAULT
from pipeline.shards.store import ShardStore

pytestmark = pytest.mark.usefixtures("decoded")


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = corpus(tmp_path / "src", *(f"ok {number}" for number in range(10)), "no_audio")
    (source / "AbCdEfGh_-1_30000_40000.mp4").write_text("ok named")
    (source / "vggsound.csv").write_text('AbCdEfGh_-1,30,"fly, housefly buzzing",test\n')
    with ingest_here():
        run_ingest(request_for(source, tmp_path / "one", shard_clips=3))
    run_ingest(request_for(source, tmp_path / "two", workers=2, shard_clips=3))
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


@pytest.mark.usefixtures("here")
def test_a_finished_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], decoded: Callable) -> None:
    request = request_for(corpus(tmp_path / "src", "ok 1", "no_audio"), tmp_path / "out")
    run_ingest(request)
    before, seen = fingerprints(tmp_path / "out"), decoded()
    run_ingest(request)
    assert "already finished" in capsys.readouterr().out
    assert (fingerprints(tmp_path / "out"), decoded()) == (before, seen)


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


@pytest.mark.usefixtures("here")
def test_a_moved_source_folder_continues(tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "src", "ok 1"), tmp_path / "out"
    planned(request := request_for(source, out))
    source.rename(tmp_path / "moved")
    run_ingest(replace(request, sources=(tmp_path / "moved",)))
    assert len(ShardStore.open(out)) == 1


# --- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
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


@pytest.mark.usefixtures("here")
def test_every_input_is_accounted_for(tmp_path: Path) -> None:
    """Loose files, a plain tar, a compressed one, duplicates, refusals, an empty file: all in one of the two tables."""
    import io

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


def test_a_source_without_videos_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    with tarfile.open(tmp_path / "src" / "shard-000000.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a.json"))
    with pytest.raises(InputError, match="holds no video"):
        run_ingest(request_for(tmp_path / "src", tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_out_that_cannot_be_written(tmp_path: Path) -> None:
    source = corpus(tmp_path / "src", "ok 1")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        run_ingest(request_for(source, tmp_path / "file"))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "shard-000000.tar").write_text("someone else's")
    with pytest.raises(InputError, match="nothing that `pipeline ingest` wrote"):
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
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        source = corpus(tmp_path / "src", *(f"ok {number}" for number in range(4)))
        run_ingest(request_for(source, out, scheduler=cluster.scheduler_address, shard_clips=1))
    assert len(ShardStore.open(out)) == 4


def test_a_plan_of_many_clips_is_read_shard_by_shard(tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = planned(request_for(corpus(tmp_path / "src", *(f"ok {n}" for n in range(40))), out, shard_clips=7))
    for number, clips in enumerate(plan.shards):
        assert tuple(load_shard(out / "plan", number)) == clips
    assert [automatic_shard_clips(clips) for clips in (5, 10_000, 200_000)] == [64, 78, 1000]
