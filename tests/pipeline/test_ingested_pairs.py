"""Pairs of an image and its sound, ingested from end to end and streamed."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from released_layouts import MASKS, S4, VGGSOUND
from stills import audio, image, tree

from pipeline.ingest import IngestRequest, run_ingest
from pipeline.inspection import inspect_path
from pipeline.shards.store import ShardStore
from pipeline.sources.frames_and_audio import (
    EVERY_SECOND,
    ONE_OF_MANY,
    SAME_NAME,
)

pytestmark = pytest.mark.usefixtures("here")


def test_ingested_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "src"
    tree(source, *S4, *MASKS, f"total/{VGGSOUND}/001.jpg", f"total/{VGGSOUND}/002.jpg")
    tree(source, "frames/lonely.jpg", "frames/own.jpg", "audio/own.wav", "frames/bad.jpg", "audio/bad.wav")
    (source / f"{VGGSOUND}.wav").write_bytes(audio(10.0, burst=5.0))
    (source / "frames/bad.jpg").write_bytes(image()[:300])
    (source / "mine.csv").write_text(f"{VGGSOUND}.mp4,elk bugling\n")
    inspect_path(source, ())
    shown = capsys.readouterr().out
    for naming in (SAME_NAME, ONE_OF_MANY, EVERY_SECOND):
        assert naming in shown
    run_ingest(IngestRequest((source,), tmp_path / "out", workers=1))
    store = ShardStore.open(tmp_path / "out")
    assert store.keys == sorted([VGGSOUND, "own", *(f"dog/x_1/x_1_{number}" for number in range(1, 6))])
    rejected = {row["path"]: row["reason"] for row in pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()}
    assert rejected == {"frames/lonely.jpg": "no_audio", "frames/bad.jpg + audio/bad.wav": "corrupt"}
    named = store.facts(store.row_of(VGGSOUND))
    assert (named["moment"], named["label"], named["flags"]) == (5.0, "elk bugling", [])
    assert named["source_path"] == f"total/{VGGSOUND}/001.jpg + {VGGSOUND}.wav"
    third = store.facts(store.row_of("dog/x_1/x_1_3"))
    assert (third["moment"], third["label"], third["split"], third["source_id"]) == (2.9375, "dog", "test", "x_1")
    assert store.facts(store.row_of("own"))["moment"] == 2.0
    loudest = store.spectrogram(store.row_of(VGGSOUND)).astype(np.float32).max(axis=0).argmax()
    assert 145 <= loudest <= 165  # the burst at 5.0 s is in the middle of the three seconds
    run_ingest(IngestRequest((source,), tmp_path / "out", workers=1))  # the saved plan is recognised as the same
    assert "already finished" in capsys.readouterr().out


def test_streamed_by_webdataset_under_their_keys(tmp_path: Path) -> None:
    """Keys with slashes must survive the reader that training uses."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    tree(tmp_path / "src", *S4)
    run_ingest(IngestRequest((tmp_path / "src",), tmp_path / "out", workers=1))
    with open(tmp_path / "out" / "shard-000000.tar", "rb") as handle:
        samples = list(group_by_keys(tar_file_expander([{"url": "shard", "stream": handle}])))
    assert [sample["__key__"] for sample in samples] == [f"dog/x_1/x_1_{number}" for number in range(1, 6)]
    assert json.loads(samples[0]["json"])["key"] == "dog/x_1/x_1_1"
