"""New clips become further shards, and every byte that was there stays."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_ingest import corpus, fingerprints, rejects, request_for
from growing import add, keys, tars

from manifests.errors import InputError
from pipeline.annotate import annotate
from pipeline.given_proposals import store_proposals
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.jobs.options import IngestOptions
from pipeline.shards.companion import Wanted
from pipeline.shards.store import ShardStore


def test_new_clips_become_further_shards(
    first: IngestRequest, decoded: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    (source,), out = first.sources, first.out
    before, rows = tars(out), pq.read_table(out / "manifest.parquet").to_pylist()
    add(source, a_new="ok 4", b_new="no_audio", z_new="ok 6")
    seen = len(decoded())
    capsys.readouterr()
    run_ingest(first)
    assert sorted(decoded()[seen:]) == ["no_audio", "ok 4", "ok 6"]
    assert {name: tars(out)[name] for name in before} == before
    assert pq.read_table(out / "manifest.parquet").to_pylist()[: len(rows)] == rows
    assert keys(out) == ["c000", "c001", "c003", "a_new", "z_new"]
    assert rejects(out) == {"c002.mp4": "no_audio", "b_new.mp4": "no_audio"}
    index = json.loads((out / "index.json").read_bytes())
    assert (index["clips"], index["rejects"], index["shards"]) == (5, 2, 4)
    assert index["manifest_sha256"] == hashlib.sha256((out / "manifest.parquet").read_bytes()).hexdigest()
    shown = capsys.readouterr().out
    assert "3 (such as a_new.mp4), for shards 2 to 3; the 2 shards before stay as they are" in shown

    finished = fingerprints(out)
    run_ingest(first)
    assert "already finished" in capsys.readouterr().out
    assert fingerprints(out) == finished


def test_a_folder_grows_again_and_again_and_every_record_is_its_own(first: IngestRequest) -> None:
    for number in range(4, 9):
        add(first.sources[0], **{f"c{number:03d}": f"ok {number}"})
        run_ingest(first)
    store = ShardStore.open(first.out)
    assert store.keys == ["c000", "c001", "c003", *(f"c{number:03d}" for number in range(4, 9))]
    hashes = [hashlib.sha256(f"ok {int(key[1:])}".encode()).hexdigest() for key in store.keys]
    assert [store.facts(row)["source_sha256"] for row in range(len(store))] == hashes


def test_a_size_of_shards_that_was_chosen_stays_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = corpus(tmp_path / "src", *(f"ok {number}" for number in range(5)))
    for name, size in {"FEWEST_CLIPS": 2, "SHARDS_WANTED": 4}.items():
        monkeypatch.setattr(f"pipeline.jobs.options.{name}", size)
    request = request_for(source, tmp_path / "out")
    run_ingest(request)
    corpus(source, *(f"ok {number}" for number in range(20)))  # of so many, five would be chosen
    run_ingest(request)
    shards = ShardStore.open(tmp_path / "out").table["shard"].value_counts().to_pylist()
    assert max(entry["counts"] for entry in shards) == 2
    assert len(ShardStore.open(tmp_path / "out")) == 20


def test_companions_grow_with_the_shards_and_annotations_are_asked_for(
    tmp_path: Path, clips, capsys: pytest.CaptureFixture[str]
) -> None:
    (source := tmp_path / "src").mkdir()
    content = clips.once("growing.mp4", seconds=1.0).read_bytes()
    (source / "a.mp4").write_bytes(content)
    request = IngestRequest((source,), tmp_path / "out", IngestOptions(companions=Wanted(frames=2)), workers=1)
    run_ingest(request)
    truth = [{"key": "a", "label": "dog", "boxes": [[0.1, 0.1, 0.9, 0.9]], "consensus": 1}]
    pq.write_table(pa.Table.from_pylist(truth), tmp_path / "truth.parquet")
    annotate(tmp_path / "out", tmp_path / "truth.parquet", "parquet")
    store_proposals(tmp_path / "out", tmp_path / "truth.parquet", "parquet")
    (source / "b.mp4").write_bytes(content)
    before = tars(tmp_path / "out")
    run_ingest(request)
    assert {name: tars(tmp_path / "out")[name] for name in before} == before
    companions = ShardStore.open(tmp_path / "out").companions
    assert [len(companions.frames(row)) for row in (0, 1)] == [2, 2]
    said = capsys.readouterr().out
    assert "repeat `pipeline annotate`" in said
    assert "repeat `pipeline annotate --proposals`" in said
    assert companions.proposals(0).shape == (1, 4)
    with pytest.raises(InputError, match=r"annotate --proposals FILE"):
        companions.proposals(1)
