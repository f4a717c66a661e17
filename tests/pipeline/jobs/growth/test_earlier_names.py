"""What was there first keeps its key, whatever arrives beside it."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from fake_ingest import fingerprints, rejects, request_for
from growing import add, keys

from manifests.errors import InputError
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.shards.store import ShardStore


def test_an_earlier_clip_keeps_its_key_and_its_place_before_duplicates(tmp_path: Path) -> None:
    source, out = tmp_path / "src", tmp_path / "out"
    add(source, a__clip="ok 1", **{"AbCdEfGh_-1_000030": "ok 2"})
    run_ingest(request := request_for(source, out))
    add(source, b__clip="ok 3", **{"train__dog__AbCdEfGh_-1_000030": "ok, and a larger file"})
    run_ingest(request)
    assert keys(out) == ["AbCdEfGh_-1_000030", "clip", "b__clip"]
    assert rejects(out) == {"train/dog/AbCdEfGh_-1_000030.mp4": "duplicate"}
    finished = fingerprints(out)
    run_ingest(request)
    assert fingerprints(out) == finished


def test_a_further_source_folder_adds_its_clips(first: IngestRequest, tmp_path: Path) -> None:
    add(tmp_path / "more", c000="ok 10", d="ok 11")
    run_ingest(replace(first, sources=(*first.sources, tmp_path / "more")))
    assert keys(first.out) == ["c000", "c001", "c003", "d", "src1__c000"]


def test_an_archive_that_has_arrived_further_adds_its_members(tmp_path: Path) -> None:
    (source := tmp_path / "src").mkdir()

    def pack(name: str, mode: str, count: int) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            for number in range(count):
                info = tarfile.TarInfo(f"{name[0]}{number}.mp4")
                content = f"ok {name} {number}".encode()
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        (source / name).write_bytes(buffer.getvalue())

    request = request_for(source, tmp_path / "out", shard_clips=2)
    for count in (3, 5):
        pack("p.tar", "w", count)
        pack("z.tar.gz", "w:gz", count)
        run_ingest(request)
    store = ShardStore.open(tmp_path / "out")
    assert store.keys == ["p0", "p1", "p2", "z0", "z1", "z2", "p3", "p4", "z3", "z4"]
    contents = [f"ok {'p.tar' if key[0] == 'p' else 'z.tar.gz'} {key[1:]}" for key in store.keys]
    hashes = [hashlib.sha256(content.encode()).hexdigest() for content in contents]
    assert [store.facts(row)["source_sha256"] for row in range(len(store))] == hashes


def test_a_refused_input_that_becomes_a_clip_is_no_reject_any_more(tmp_path: Path) -> None:
    (source := tmp_path / "src").mkdir()
    (source / "leak.mp4").symlink_to("/etc/hostname")
    add(source, a="ok 1")
    run_ingest(request := request_for(source, tmp_path / "out"))
    assert list(rejects(tmp_path / "out").values()) == ["refused"]
    (source / "leak.mp4").unlink()
    run_ingest(request)  # nothing but the refusals differs
    assert rejects(tmp_path / "out") == {}
    (source / "leak.mp4").write_text("ok 2")
    run_ingest(request)
    assert keys(tmp_path / "out") == ["a", "leak"]


def test_what_this_version_no_longer_lists_stays_while_it_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As files that an earlier version took for clips: in the shards or the rejects they stay."""
    add(source := tmp_path / "src", a="ok 1", odd="no_audio")
    run_ingest(request := request_for(source, tmp_path / "out"))
    add(source, b="ok 2")
    from pipeline import ingest

    real = ingest.list_sources

    def without_odd(*given: object, **named: object):
        listing = real(*given, **named)
        listing.clips = [clip for clip in listing.clips if clip.key != "odd"]
        return listing

    monkeypatch.setattr(ingest, "list_sources", without_odd)
    run_ingest(request)
    assert (keys(tmp_path / "out"), rejects(tmp_path / "out")) == (["a", "b"], {"odd.mp4": "no_audio"})
    (source / "odd.mp4").unlink()
    with pytest.raises(InputError, match=r"missing clips: 1 \(such as odd.mp4\)"):
        run_ingest(request)


def test_a_folder_of_before_splits_had_one_name_is_finished_as_it_is(tmp_path: Path, monkeypatch) -> None:
    add(tmp_path / "src" / "training" / "dog", a="ok 1")
    add(tmp_path / "src" / "testing" / "dog", b="ok 2")
    request = request_for(tmp_path / "src", tmp_path / "out")
    with monkeypatch.context() as before:
        before.setattr("pipeline.sources.listing.normal_split", str.lower)
        run_ingest(request)
    finished = fingerprints(tmp_path / "out")
    run_ingest(request)
    assert fingerprints(tmp_path / "out") == finished
    assert sorted(ShardStore.open(tmp_path / "out").table["split"].to_pylist()) == ["test", "train"]
    add(tmp_path / "src" / "training" / "dog", c="ok 3")
    run_ingest(request)
    assert ShardStore.open(tmp_path / "out").table["split"].to_pylist().count("train") == 2
