"""Pairs of an image and its sound, ingested from end to end and streamed."""

import json
from pathlib import Path

import ffmpeg
import numpy as np
import pyarrow.parquet as pq
import pytest
from released_layouts import MASKS, S4, VGGSOUND
from stills import audio, image, tree

from pipeline.ingest import IngestRequest, run_ingest
from pipeline.inspection import inspect_path
from pipeline.media.ffmpeg import file_input, run
from pipeline.shards.store import ShardStore
from pipeline.sources.pairs import EVERY_SECOND, ONE_OF_MANY, SAME_NAME

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


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".aiff", "pcm_s16be"), (".AIF", "pcm_s24be"), (".au", "pcm_s16be"), (".caf", "pcm_s16le"),
                          (".w64", "pcm_s16le"), (".aifc", "pcm_s16le")],
)  # fmt: skip
def test_less_usual_sounds(tmp_path: Path, suffix: str, codec: str) -> None:
    cut = "-ZyXwVuTs09_000000"
    tree(tmp_path / "src", f"frames/{VGGSOUND}.jpg", f"frames/{cut}.jpg", f"audio/{VGGSOUND}.wav")
    sound = tmp_path / f"src/audio/{VGGSOUND}.wav"
    form = {".aif": "aiff", ".aifc": "aiff"}.get(suffix.lower(), suffix[1:])
    run(ffmpeg.output(file_input(sound), f"file:{tmp_path / 'sound'}", format=form, acodec=codec), timeout=60)
    content = (tmp_path / "sound").read_bytes()
    sound.unlink()
    sound.with_suffix(suffix).write_bytes(content)
    sound.with_name(f"{cut}{suffix}").write_bytes(content[: len(content) // 5])
    run_ingest(IngestRequest((tmp_path / "src",), tmp_path / "out", workers=1))
    store = ShardStore.open(tmp_path / "out")
    assert (store.keys, store.facts(0)["moment"], store.facts(0)["flags"]) == ([VGGSOUND], 2.0, [])
    (rejected,) = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert (rejected["path"], rejected["reason"]) == (f"frames/{cut}.jpg + audio/{cut}{suffix}", "corrupt")


def test_streamed_by_webdataset_under_their_keys(tmp_path: Path) -> None:
    """Keys with slashes must survive the reader that training uses."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    tree(tmp_path / "src", *S4)
    run_ingest(IngestRequest((tmp_path / "src",), tmp_path / "out", workers=1))
    with open(tmp_path / "out" / "shard-000000.tar", "rb") as handle:
        samples = list(group_by_keys(tar_file_expander([{"url": "shard", "stream": handle}])))
    assert [sample["__key__"] for sample in samples] == [f"dog/x_1/x_1_{number}" for number in range(1, 6)]
    assert json.loads(samples[0]["json"])["key"] == "dog/x_1/x_1_1"
