"""Two files of one key: the larger one is taken, and where it is rejected the other one is tried."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fake_ingest import fingerprints, rejects, request_for
from growing import add, keys, tars

from pipeline.ingest import run_ingest
from pipeline.jobs import next_files
from pipeline.shards.store import ShardStore

KEY = "AbCdEfGh_-1_000030"
SPELLINGS = [f"{KEY}", "AbCdEfGh_-1_30000_40000", "AbCdEfGh_-1_30", "vAbCdEfGh_-1_30_40_out"]  # of one clip


def _sources(out: Path) -> list[str]:
    return ShardStore.open(out).table["source_path"].to_pylist()


def _accounted(out: Path) -> tuple[int, int]:
    """Records and rejects, as the tables and as the index have them."""
    index = json.loads((out / "index.json").read_bytes())
    counts = pq.read_metadata(out / "manifest.parquet").num_rows, pq.read_metadata(out / "rejects.parquet").num_rows
    assert counts == (index["clips"], index["rejects"])
    return counts


def test_the_next_file_is_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spelled = dict(zip(SPELLINGS, ("no_audio and large", "ok small", "ok", "no_audio and largest of all"), strict=True))
    add(source := tmp_path / "src", other="ok 1", **spelled)
    run_ingest(request := request_for(source, out := tmp_path / "out"))
    assert (keys(out), _sources(out)) == (["other", KEY], ["other.mp4", f"{SPELLINGS[1]}.mp4"])
    assert rejects(out) == {
        f"{SPELLINGS[3]}.mp4": "no_audio", f"{SPELLINGS[0]}.mp4": "no_audio", f"{SPELLINGS[2]}.mp4": "duplicate",
    }  # fmt: skip
    assert _accounted(out) == (2, 3)
    shown = capsys.readouterr().out
    assert f"files tried because another one of their key was rejected: 1 (such as {SPELLINGS[0]}.mp4)" in shown
    finished = fingerprints(out)
    run_ingest(request)
    assert "already finished" in capsys.readouterr().out
    assert fingerprints(out) == finished


def test_where_none_becomes_a_record_each_has_its_own_reason(tmp_path: Path) -> None:
    add(source := tmp_path / "src", other="ok 1", **dict.fromkeys(SPELLINGS, "no_audio"))
    run_ingest(request_for(source, out := tmp_path / "out"))
    assert (keys(out), list(rejects(out).values())) == (["other"], ["no_audio"] * 4)
    assert _accounted(out) == (1, 4)


def test_labels_stay_whichever_file_is_taken(tmp_path: Path) -> None:
    first, second, *_ = SPELLINGS
    add(source := tmp_path / "src", **{f"train__elk bugling__{first}": "no_audio and large", second: "ok"})
    run_ingest(request := request_for(source, out := tmp_path / "out"))
    add(source, new="ok 2")
    run_ingest(request)
    assert ShardStore.open(out).table["label"].to_pylist() == ["elk bugling", None]


def test_a_folder_grows_beside_them(tmp_path: Path, decoded: Callable[[], list[str]]) -> None:
    """Neither the rejected file nor what arrives later takes the place of the one that is stored."""
    first, second, third, fourth = SPELLINGS
    add(source := tmp_path / "src", **{first: "no_audio and large", second: "ok"})
    run_ingest(request := request_for(source, out := tmp_path / "out"))
    before, seen = tars(out), len(decoded())
    add(source, **{first: "ok and whole now", third: "ok the largest of all files", "new": "ok 2"})
    run_ingest(request)
    assert decoded()[seen:] == ["ok 2"]
    assert {name: tars(out)[name] for name in before} == before
    assert (_sources(out), _accounted(out)) == ([f"{second}.mp4", "new.mp4"], (2, 2))
    add(source, **{fourth: "ok later"})
    run_ingest(request)
    assert _accounted(out) == (2, 3)


def test_a_duplicate_names_the_file_that_was_kept(tmp_path: Path) -> None:
    """Of those planned it is the last one, which need not be the smallest: the folder may have grown."""
    first, second, third, _ = SPELLINGS
    add(source := tmp_path / "src", **{first: "no_audio"}, other="ok 1")
    run_ingest(request := request_for(source, out := tmp_path / "out"))
    add(source, **{second: "ok and larger than it", third: "ok"})
    run_ingest(request)
    rows = pq.read_table(out / "rejects.parquet").to_pylist()
    (kept,) = {f"{SPELLINGS[1]}.mp4"} & set(_sources(out))
    told = {row["path"]: row["message"] for row in rows if row["reason"] == "duplicate"}
    assert told == {f"{third}.mp4": f"{kept} has the same key, {KEY}"}


def test_an_interrupted_run_goes_on_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(
        source := tmp_path / "src", other="ok 1", **dict(zip(SPELLINGS, ("no_audio 1", "no_audio", "ok"), strict=False))
    )
    run_ingest(request_for(source, undisturbed := tmp_path / "undisturbed"))
    request = request_for(source, out := tmp_path / "out")
    for killed in ("with_next_files", "make_shards", "write_tables"):  # after the shards, after the plan, at the end
        with monkeypatch.context() as patch:
            times = iter(range(100))
            real = getattr(__import__("pipeline.ingest", fromlist=[killed]), killed)

            def dying(*given: object, real: Callable = real, times=times, killed: str = killed) -> object:
                if killed != "make_shards" or next(times) == 1:
                    raise KeyboardInterrupt
                return real(*given)

            patch.setattr(f"pipeline.ingest.{killed}", dying)
            with pytest.raises(KeyboardInterrupt):
                run_ingest(request)
    run_ingest(request)
    assert fingerprints(out) == fingerprints(undisturbed)


def test_members_of_archives_and_files_beside_them(tmp_path: Path) -> None:
    source = tmp_path / "src"
    add(source, **{SPELLINGS[0]: "no_audio as a file"})
    contents = [(f"{SPELLINGS[1]}.mp4", "no_audio"), (f"{SPELLINGS[1]}.mp4", "ok 17"), (f"{SPELLINGS[2]}.mp4", "ok")]
    for name, content in contents:
        (tmp_path / name).write_text(content)
    with tarfile.open(source / "p.tar", "w") as archive:
        for number, (name, content) in enumerate(contents):
            (tmp_path / f"{number}").write_text(content)
            archive.add(tmp_path / f"{number}", name)
    run_ingest(request := request_for(source, out := tmp_path / "out"))
    assert _sources(out) == [f"p.tar!{SPELLINGS[2]}.mp4"]
    assert _accounted(out) == (1, 3)
    add(source, new="ok 2")
    run_ingest(request)
    assert _accounted(out) == (2, 3)


def test_nothing_is_looked_at_where_no_key_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_files, "next_files", lambda *_: pytest.fail("it costs a pass over all clips"))
    add(source := tmp_path / "src", one="ok 1", two="no_audio")
    run_ingest(request_for(source, tmp_path / "out"))
