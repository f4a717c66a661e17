"""`pipeline annotate`: a corpus's boxes and masks beside shards that are there already."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from full_disk import NOTHING_KEPT, limit_files
from ingest_here import ingest_here
from PIL import Image
from places import PYTHONPATH

from manifests.annotations import Annotation
from manifests.errors import InputError
from manifests.files.locks import held
from pipeline.annotate import annotate
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.jobs.options import IngestOptions
from pipeline.shards.companion import TRUTH_FACTS
from pipeline.shards.store import PLAN, ShardStore

CLIPS = ("aaaaaaaaaaa_000010", "bbbbbbbbbbb_000020", "ccccccccccc_000030")


@pytest.fixture(scope="module")
def shards(clips, clip_maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips in two shards."""
    source = tmp_path_factory.mktemp("annotate-src")
    made = clips.once("annotate.mp4", seconds=2.0, waveform=clip_maker.burst(2.0, 0.5))
    for key in CLIPS:
        (source / f"{key}.mp4").write_bytes(made.read_bytes())
    out = tmp_path_factory.mktemp("annotate-out") / "shards"
    with ingest_here():
        run_ingest(IngestRequest((source,), out, IngestOptions(shard_clips=2), workers=1))
    return out


def boxes_of(folder: Path, keys: tuple[str, ...]) -> Path:
    entries = [{"file": key, "class": "dog", "bbox": [[0.1, 0.2, 0.5, 0.75]]} for key in keys]
    path = folder / "vggss.json"
    path.write_text(json.dumps(entries))
    return path


def test_boxes_of_annotated_clips_are_read_back_and_the_shards_stay(shards: Path, tmp_path: Path) -> None:
    before = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shards.glob("shard-*.tar")}
    counts = annotate(shards, boxes_of(tmp_path, (CLIPS[0], CLIPS[2], "notthere000_000001")), "vggss")
    assert counts["clips"] == "2 of the 3 annotated ones are in the shards"
    assert counts["missing"] == "1: notthere000_000001"
    store = ShardStore.open(shards)
    first, second, third = (store.companions.truth(store.row_of(key)) for key in CLIPS)
    assert second is None
    assert (first.boxes, first.label, first.consensus) == (((0.1, 0.2, 0.5, 0.75),), "dog", 1)
    assert third.key == CLIPS[2]
    assert store.companions.mask(store.row_of(CLIPS[0])) is None
    assert before == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shards.glob("shard-*.tar")}


@pytest.mark.usefixtures("here")
def test_masks_keep_their_size_and_replace_what_was_there(clip_maker, tmp_path: Path) -> None:
    frames, audio = tmp_path / "s4_data/visual_frames/test/dog/x", tmp_path / "s4_data/audio_wav/test/dog"
    masks = tmp_path / "s4_data/gt_masks/test/dog/x"
    for folder in (frames, audio, masks):
        folder.mkdir(parents=True)
    drawn = np.zeros((30, 40, 3), np.uint8)
    drawn[5:10, 20:40] = (0, 128, 0)
    for number in (1, 2):
        Image.fromarray(np.full((64, 64, 3), 40 * number, np.uint8)).save(frames / f"x_{number}.png")
        Image.fromarray(drawn).save(masks / f"x_{number}.png")
    with wave.open(str(audio / "x.wav"), "wb") as recording:
        recording.setparams((1, 2, 16000, 0, "NONE", ""))
        recording.writeframes((clip_maker.tone(4.0, rate=16000) * 20000).astype("<i2").tobytes())
    out = tmp_path / "shards"
    run_ingest(IngestRequest((tmp_path / "s4_data",), out, workers=1))
    for _ in range(2):
        counts = annotate(out, tmp_path / "s4_data", "avsbench_s4")
        assert counts["stored"] == "0 boxes, 2 masks"
    store = ShardStore.open(out)
    mask = store.companions.mask(store.row_of("dog/x/x_2"))
    assert mask.dtype == bool
    assert np.array_equal(mask, drawn.any(axis=2))


def not_annotated(shards: Path, folder: Path) -> Path:
    """A copy of its own."""
    return Path(shutil.copytree(shards, folder / "shards", ignore=shutil.ignore_patterns("truth*")))


def limited(line: list[str], at: Path) -> subprocess.CompletedProcess[str]:
    """The command where no file may be larger than a block of a tar: a disk that is nearly full."""
    environment = os.environ | {"PYTHONPATH": PYTHONPATH} | NOTHING_KEPT
    code = "from pipeline.cli import main; main()"
    line = [sys.executable, "-c", code, *line]
    bound = limit_files(15_000)
    return subprocess.run(line, cwd=at, env=environment, preexec_fn=bound, capture_output=True, text=True, check=False)


def test_a_full_disk_leaves_the_annotations_that_were_there(shards: Path, tmp_path: Path) -> None:
    """The second tar of the new ones does not fit: they come with a label of 20,000 letters."""
    copied = not_annotated(shards, tmp_path)
    truth = boxes_of(tmp_path, CLIPS)
    annotate(copied, truth, "vggss")
    before = {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    entries = json.loads(truth.read_text())
    entries[2]["class"] = "d" * 20_000
    truth.write_text(json.dumps(entries))
    ended = limited(["annotate", "--truth", "vggss.json", "--shards", "shards"], tmp_path)
    assert (ended.returncode, "File too large" in ended.stderr) == (1, True), ended.stderr
    assert {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()} == before
    annotate(copied, truth, "vggss")
    store = ShardStore.open(copied)
    assert store.companions.truth(store.row_of(CLIPS[2])).label == "d" * 20_000
    tars = {path.name for path in copied.glob("truth-*.tar")}
    assert tars == {"truth-000000.1.tar", "truth-000001.1.tar"}
    annotate(copied, boxes_of(tmp_path, CLIPS[:2]), "vggss")
    assert {path.name for path in copied.glob("truth-*.tar")} == {"truth-000000.tar"}


def test_a_mask_that_is_none_leaves_the_annotations_that_were_there(shards: Path, tmp_path: Path, monkeypatch) -> None:
    copied = not_annotated(shards, tmp_path)
    annotate(copied, boxes_of(tmp_path, CLIPS), "vggss")
    before = sorted(path.name for path in copied.iterdir())
    written = []

    def members(annotation: Annotation, truth: object) -> dict[str, bytes]:
        written.append(annotation.key)
        if len(written) == 3:
            raise InputError("this mask is none")
        return {TRUTH_FACTS: b"{}"}

    monkeypatch.setattr("pipeline.annotate._members", members)
    with pytest.raises(InputError, match="is none"):
        annotate(copied, boxes_of(tmp_path, CLIPS), "vggss")
    assert sorted(path.name for path in copied.iterdir()) == before
    assert ShardStore.open(copied).companions.truth(0).label == "dog"


def test_two_annotate_at_once(shards: Path, tmp_path: Path) -> None:
    copied = not_annotated(shards, tmp_path)
    with (
        held(copied / PLAN / "lock", copied, "command", "Wait."),
        pytest.raises(InputError, match="Another command is writing"),
    ):
        annotate(copied, boxes_of(tmp_path, CLIPS), "vggss")
    assert not list(copied.glob("truth*"))


def test_annotations_of_other_clips_are_refused_and_absent_ones_named(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the 1 clips annotated .* 'notthere000_000001'"):
        annotate(shards, boxes_of(tmp_path, ("notthere000_000001",)), "vggss")
    (shards / "truth.parquet").unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"hold no truth companion\. To have it, add it with `pipeline annotate`"):
        ShardStore.open(shards).companions.truth(0)
