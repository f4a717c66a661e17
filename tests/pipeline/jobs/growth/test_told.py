"""What has changed under a folder that grows is told, and nothing is written over."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_ingest import fingerprints, request_for
from growing import add, tars

from manifests.errors import InputError
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.shards.store import ShardStore


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
