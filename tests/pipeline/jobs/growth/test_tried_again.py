"""Downloads that were not whole when they were met are tried again once their files have changed."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_ingest import fingerprints, rejects, request_for
from growing import add, keys, tars

from manifests.errors import InputError
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.shards.store import ShardStore


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
