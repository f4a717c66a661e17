"""Sources that grow after they were ingested: further shards, and every byte that was there stays."""

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_ingest import corpus, fingerprints, rejects, request_for
from places import PYTHONPATH

from manifests.errors import InputError, WorkFailed
from pipeline.annotate import annotate
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.jobs.decoder_client import Decoder
from pipeline.jobs.options import IngestOptions
from pipeline.shards.companion import Wanted
from pipeline.shards.store import ShardStore

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def here(decoded: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Shards are made in this process, where they are made being nothing of these tests; its decoder ends with each."""
    decoders: list[Decoder] = []

    def started(options: IngestOptions) -> Decoder:
        decoders.append(Decoder(options))
        return decoders[-1]

    monkeypatch.setattr("pipeline.ingest.connected", lambda *_: nullcontext())
    monkeypatch.setattr("pipeline.ingest.threads", lambda _: 1)
    monkeypatch.setattr("pipeline.ingest.run_all", lambda _, work, jobs: [work(*job) for job in jobs])
    monkeypatch.setattr("pipeline.jobs.shard_job.shared_decoder", cache(started))
    yield
    for decoder in decoders:
        decoder.close()


def add(folder: Path, **contents: str) -> None:
    """Clips by name; two underscores stand for a folder."""
    for name, content in contents.items():
        path = folder / f"{name.replace('__', '/')}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def tars(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.tar")}


def keys(out: Path) -> list[str]:
    return ShardStore.open(out).keys


@pytest.fixture
def first(tmp_path: Path) -> IngestRequest:
    """A finished folder of three clips and a reject in two shards."""
    request = request_for(corpus(tmp_path / "src", "ok 0", "ok 1", "no_audio", "ok 3"), tmp_path / "out", shard_clips=2)
    run_ingest(request)
    return request


# --- what is new -----------------------------------------------------------------------------------------------------


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
    (source / "b.mp4").write_bytes(content)
    before = tars(tmp_path / "out")
    run_ingest(request)
    assert {name: tars(tmp_path / "out")[name] for name in before} == before
    companions = ShardStore.open(tmp_path / "out").companions
    assert [len(companions.frames(row)) for row in (0, 1)] == [2, 2]
    assert "repeat `pipeline annotate`" in capsys.readouterr().out


# --- names and duplicates --------------------------------------------------------------------------------------------


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


# --- downloads that were not whole -----------------------------------------------------------------------------------


def test_a_rejected_clip_whose_file_has_grown_is_tried_again(
    first: IngestRequest, decoded: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    (source,), out = first.sources, first.out
    before, seen = tars(out), len(decoded())
    add(source, c002="ok whole now", new="ok 9")
    capsys.readouterr()
    run_ingest(first)
    assert sorted(decoded()[seen:]) == ["ok 9", "ok whole now"]
    assert {name: tars(out)[name] for name in before} == before
    assert (keys(out), rejects(out)) == (["c000", "c001", "c003", "c002", "new"], {})
    index = json.loads((out / "index.json").read_bytes())
    assert (index["clips"], index["rejects"]) == (5, 0)
    shown = capsys.readouterr().out
    assert "rejected clips whose file has changed, tried again: 1 (such as c002.mp4), for shard 2" in shown
    assert "new clips since this folder was begun: 1 (such as new.mp4), for shard 2" in shown
    assert re.search(r"rejects +0\n", shown)

    finished = fingerprints(out)
    run_ingest(first)
    assert "already finished" in capsys.readouterr().out
    assert fingerprints(out) == finished


def test_a_clip_may_be_rejected_again_and_again(first: IngestRequest) -> None:
    (source,), out = first.sources, first.out
    for content in ("no_audio yet", "no_audio even now", "ok at last"):
        add(source, c002=content)
        run_ingest(first)
        assert list(rejects(out).values()) == ([] if content.startswith("ok") else ["no_audio"])
        assert json.loads((out / "index.json").read_bytes())["rejects"] == len(rejects(out))
    assert keys(out) == ["c000", "c001", "c003", "c002"]
    add(source, c002="ok, but it is stored")
    with pytest.raises(InputError, match=r"clips with another size: 1 \(such as c002.mp4\).*a stored clip never"):
        run_ingest(first)


def test_other_labels_of_rejected_clips_are_no_difference(tmp_path: Path) -> None:
    add(source := tmp_path / "src", **{"AbCdEfGh_-1_000030": "ok 1", "AbCdEfGh_-2_000010": "no_audio"})
    (source / "vggsound.csv").write_text("AbCdEfGh_-1,30,dog,train\nAbCdEfGh_-2,10,cat,train\n")
    run_ingest(request := request_for(source, tmp_path / "out"))
    finished = fingerprints(tmp_path / "out")
    (source / "vggsound.csv").write_text("AbCdEfGh_-1,30,dog,train\nAbCdEfGh_-2,10,cow,test\n")
    run_ingest(request)
    assert fingerprints(tmp_path / "out") == finished
    add(source, **{"AbCdEfGh_-2_000010": "ok and whole"})
    run_ingest(request)
    assert ShardStore.open(tmp_path / "out").table["label"].to_pylist() == ["dog", "cow"]


@pytest.mark.parametrize("name", ["p.tar", "p.tar.gz"])
def test_an_archive_that_was_cut_off_and_is_whole_now(tmp_path: Path, name: str) -> None:
    """The clip it was cut in has the same name, place and size in the listing before and after."""
    (source := tmp_path / "src").mkdir()
    buffer = io.BytesIO()
    random = np.random.default_rng(0)
    with tarfile.open(fileobj=buffer, mode="w:gz" if name.endswith("gz") else "w") as archive:
        for number in range(3):
            content = f"ok {number} {random.bytes(20_000).hex()}".encode()
            info = tarfile.TarInfo(f"m{number}.mp4")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    content = buffer.getvalue()
    (source / name).write_bytes(content[: len(content) // 2])
    run_ingest(request := request_for(source, tmp_path / "out"))
    assert keys(tmp_path / "out") == ["m0"]
    before = tars(tmp_path / "out")
    (source / name).write_bytes(content[: len(content) * 6 // 10])
    run_ingest(request)
    (source / name).write_bytes(content)
    run_ingest(request)
    assert keys(tmp_path / "out") == ["m0", "m1", "m2"]
    assert rejects(tmp_path / "out") == {}
    assert before.items() <= tars(tmp_path / "out").items()
    finished = fingerprints(tmp_path / "out")
    run_ingest(request)
    assert fingerprints(tmp_path / "out") == finished


def test_clips_that_change_before_they_are_read_are_taken_as_they_are(
    first: IngestRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,), out = first.sources, first.out
    add(source, d0="no_audio", d1="ok 11")
    with monkeypatch.context() as patched:
        patched.setattr("pipeline.ingest.run_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_ingest(first)
    add(source, d0="ok and whole", d2="ok 12")
    run_ingest(first)
    assert "changed before they were read, taken as they are now: 1 (such as d0.mp4)" in capsys.readouterr().out
    store = ShardStore.open(out)
    assert store.keys == ["c000", "c001", "c003", "d0", "d1", "d2"]
    assert store.facts(3)["source_sha256"] == hashlib.sha256(b"ok and whole").hexdigest()


# --- what is refused -------------------------------------------------------------------------------------------------


def test_missing_and_changed_clips_are_told_and_nothing_is_written(first: IngestRequest) -> None:
    (source,), out = first.sources, first.out
    before = fingerprints(out)
    (source / "c001.mp4").unlink()
    (source / "c000.mp4").write_text("longer than before")
    add(source, new="ok 4")
    with pytest.raises(InputError) as caught:
        run_ingest(first)
    for part in ("missing clips: 1 (such as c001.mp4)", "another size: 1 (such as c000.mp4)", "new clips: 1"):
        assert part in str(caught.value)
    assert fingerprints(out) == before


def test_other_labels_of_earlier_clips_are_told(tmp_path: Path) -> None:
    add(source := tmp_path / "src", **{"AbCdEfGh_-1_000030": "ok 1"})
    (source / "vggsound.csv").write_text("AbCdEfGh_-1,30,dog,train\n")
    run_ingest(request := request_for(source, tmp_path / "out"))
    add(source, **{"AbCdEfGh_-2_000010": "ok 2"})
    (source / "vggsound.csv").write_text("AbCdEfGh_-1,30,cat,train\nAbCdEfGh_-2,10,cat,train\n")
    with pytest.raises(InputError, match=r"clips with another label or split: 1 \(such as AbCdEfGh_-1_000030"):
        run_ingest(request)
    (source / "vggsound.csv").write_text("AbCdEfGh_-1,30,dog,train\nAbCdEfGh_-2,10,cat,train\n")
    run_ingest(request)
    assert ShardStore.open(tmp_path / "out").table["label"].to_pylist() == ["dog", "cat"]


def test_labels_that_come_later_are_told_and_do_not_change_what_is_stored(
    first: IngestRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """As lists that an earlier version did not read; new clips have theirs."""
    (source,), out = first.sources, first.out
    before = tars(out)
    add(source, more="ok 7")
    (source / "metadata.csv").write_text("file_name,label\nc000.mp4,dog\nmore.mp4,cat\n")
    run_ingest(first)
    said = "clips with a label or a split only now, which the shards keep without: 1 (such as c000.mp4)"
    assert said in capsys.readouterr().out
    assert {name: tars(out)[name] for name in before} == before
    assert ShardStore.open(out).table["label"].to_pylist() == [None, None, None, "cat"]


def test_other_options_are_told(first: IngestRequest) -> None:
    add(first.sources[0], new="ok 4")
    with pytest.raises(InputError, match="short_side was 256, now 128"):
        run_ingest(replace(first, options=replace(first.options, short_side=128)))
    with pytest.raises(InputError, match="shard_clips was 2, now 3"):
        run_ingest(replace(first, options=replace(first.options, shard_clips=3)))


# --- interruptions ---------------------------------------------------------------------------------------------------

GROWING = """
import importlib, os, signal, sys
from pathlib import Path
from fake_ingest import request_for
from pipeline.ingest import run_ingest

place = importlib.import_module(sys.argv[3])
real, made = getattr(place, sys.argv[4]), 0

def deadly(*arguments, **options):
    global made
    made += 1
    if made == int(sys.argv[5]):
        os.killpg(0, signal.SIGKILL)
    return real(*arguments, **options)

setattr(place, sys.argv[4], deadly)  # workers import this file too
if __name__ == "__main__":
    run_ingest(request_for(Path(sys.argv[1]), Path(sys.argv[2]), shard_clips=2))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "module", "name", "call", "readable"),
    [
        ("the plan has grown, its head is not written", "pipeline.jobs.plan", "save_head", 1, True),
        ("the first new shard is begun", "pipeline.jobs.shard_job", "load_shard", 1, True),
        ("the first new shard is finished", "pipeline.jobs.shard_job", "forget", 1, True),
        ("all shards are there, no table", "pipeline.jobs.totals", "_write_table", 1, False),
        ("the manifest is there, the rejects are not", "pipeline.jobs.totals", "_write_table", 2, False),
        ("all is there but the index", "pipeline.jobs.totals", "write_whole", 1, False),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and " " in value else None,
)
def test_killed_while_growing(
    first: IngestRequest, tmp_path: Path, moment: str, module: str, name: str, call: int, readable: bool
) -> None:
    (source,), out = first.sources, first.out
    before, known = tars(out), keys(out)
    add(source, **{f"n{number}": f"ok {number}" for number in range(10, 15)})
    (tmp_path / "command.py").write_text(GROWING)
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    command = [sys.executable, str(tmp_path / "command.py"), str(source), str(out), module, name, str(call)]
    result = subprocess.run(command, env=environment, start_new_session=True, capture_output=True, check=False)
    assert result.returncode == -signal.SIGKILL, (moment, result.stderr)
    assert {name: tars(out)[name] for name in before} == before
    if readable:
        assert keys(out) == known, "what was finished is read as before"
    else:
        with pytest.raises(InputError, match="unfinished"):
            keys(out)
    add(source, p="ok 20")  # and more has arrived meanwhile
    run_ingest(first)
    assert {name: tars(out)[name] for name in before} == before
    assert keys(out) == [*known, *(f"n{number}" for number in range(10, 15)), "p"]
    assert not [*out.rglob(".*"), *out.glob("journal/*")]


def test_an_unfinished_folder_grows_too(tmp_path: Path) -> None:
    source = corpus(tmp_path / "src", "ok 0", "no_audio")
    request = request_for(source, tmp_path / "out", max_reject_fraction=0.4)
    with pytest.raises(WorkFailed, match="1 of 2 inputs were rejected"):
        run_ingest(request)
    add(source, more="ok 3")
    run_ingest(request)
    assert keys(tmp_path / "out") == ["c000", "more"]
