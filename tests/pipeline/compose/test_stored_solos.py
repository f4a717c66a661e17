"""Collages of shards: labelled videos of one object each, as MUSIC's solos are, with boxes or without."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from shard_maker import MadeClip, write_shards, write_waveforms

from manifests.errors import InputError
from manifests.truth import read_truth
from pipeline.annotate import annotate
from pipeline.compose.collage import AS_EVER, Mixing, draw_collage, make_collage, write_collages
from pipeline.compose.solos import find_solos, read_clip
from pipeline.synth.audio import SAMPLE_RATE

INSTRUMENTS = ("flute", "cello", "trumpet", "violin", "banjo")
BEGINS = 2.0  # second of the clip; its image is of second 5


def clip(number: int, label: str | None, split: str | None) -> MadeClip:
    frame = np.full((40, 60, 3), 40 * (number % 5), np.uint8)
    return MadeClip(f"{number:011d}_000013", frame, np.zeros((257, 4), np.float16), label, split)


def solos(folder: Path, seconds: float = 6.0, rate: int = SAMPLE_RATE) -> Path:
    """Two clips of each instrument to train on and one to test on, in a ramp of sound each; one without a label, one of
    another split."""
    places = [(label, split) for label in INSTRUMENTS for split in (None, "train", "test")]
    clips = [
        clip(number, label, split) for number, (label, split) in enumerate([*places, (None, "train"), ("flute", "val")])
    ]
    out = write_shards(folder, clips, companions=("context",))
    ramp = np.linspace(0, 0.5, round(seconds * rate), dtype=np.float32)
    write_waveforms(out, {one.key: ramp for one in clips}, rate, BEGINS)
    return out


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return solos(tmp_path_factory.mktemp("music") / "shards")


def test_labelled_clips_without_boxes_are_trained_on(shards: Path, tmp_path: Path, capsys) -> None:
    counts = write_collages(shards, tmp_path / "made", 6, 0, workers=1, mixing=Mixing((0.5, 1.5), 0.1))
    said = capsys.readouterr().out
    assert (counts["train"], counts["test"], counts["with several sources"]) == (6, 0, 6)
    for words in (
        "1 clip without a label",
        "1 clip of split val",
        "5 clips to test on without one box",
        "for training",
    ):
        assert words in said, words
    rows = pq.read_table(tmp_path / "made" / "collages.parquet").to_pylist()
    assert {row["label"] for row in rows} == {*INSTRUMENTS}  # DSOL clusters all of them, whatever MUSIC's boxes name
    heard = [row["gain"] for row in rows if row["gain"]]
    assert len(heard) == 12
    assert all(0.5 <= gain <= 1.5 for gain in heard)
    assert max(heard) > 1
    assert len(list((tmp_path / "made" / "audio").glob("*.wav"))) == 6


def test_test_clips_are_those_with_a_box(shards: Path, tmp_path: Path) -> None:
    own = solos(tmp_path / "shards")
    boxes = [
        {"file": f"{number:011d}_000013", "class": "x", "bbox": [[0.2, 0.4, 0.6, 0.8]]} for number in range(2, 15, 3)
    ]
    (tmp_path / "vggss.json").write_text(json.dumps(boxes))
    annotate(own, tmp_path / "vggss.json", "vggss")
    counts = write_collages(own, tmp_path / "made", 5, 0, workers=1)
    assert (counts["train"], counts["test with boxes"]) == (4, 1)
    (frame,) = read_truth(tmp_path / "made" / "music" / "box", "music").music.frames
    sides = {round(corner % 0.5, 6) for of_one in frame.boxes.values() for box in of_one for corner in box}
    assert sides == {0.1, 0.2, 0.3, 0.4}


def test_a_list_of_whole_videos_names_all_their_clips(shards: Path, tmp_path: Path) -> None:
    videos = [f"{number:011d}_0_1000" for number in range(15) if number % 3 == 0]
    (tmp_path / "solo_training_2.txt").write_text("".join(f"{video}.flac {video}.mp4\n" for video in videos))
    found = find_solos(shards, [tmp_path / "solo_training_2.txt"])
    assert {label: len(rows) for label, rows in found["train"].items()} == dict.fromkeys(INSTRUMENTS, 1)


def test_a_sound_lies_around_its_image_and_is_shifted(shards: Path) -> None:
    row = find_solos(shards)["train"]["flute"][0]
    plain, shifted = (read_clip(shards, row, shift)[1] for shift in (0.0, 0.1))
    steps = round(0.1 * SAMPLE_RATE)
    assert np.abs(plain[steps:] - shifted[:-steps]).max() < 1e-4
    assert plain[len(plain) // 2] == pytest.approx(0.5 * (row["moment"] - BEGINS) / 6, abs=1e-3)


def test_gains_and_shifts_are_drawn_behind_what_was_drawn_ever(shards: Path, tmp_path: Path) -> None:
    found = find_solos(shards)
    plain, moved = (draw_collage(found, 3, 0, mixing) for mixing in (AS_EVER, Mixing(None, 0.1)))
    assert replace(moved, shifts=plain.shifts) == plain
    assert plain.shifts == (0.0,) * 4
    assert 0 < max(map(abs, moved.shifts)) <= 0.1
    for folder in ("frames", "audio"):
        (tmp_path / folder).mkdir()
    (rows, *_) = [make_collage(shards, tmp_path, [moved], Mixing(None, 0.1), 0)]
    assert [each["x1"] for each in rows] == [None] * 4


@pytest.mark.parametrize(
    ("seconds", "rate", "said"),
    [(6.0, 16000, "16000 samples a second, .*--audio-rate 22050"), (3.5, SAMPLE_RATE, "lasts 3.50 s.*--audio-seconds")],
)
def test_another_sound_than_collages_need_is_refused(tmp_path: Path, seconds: float, rate: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        write_collages(solos(tmp_path / "shards", seconds, rate), tmp_path / "made", 1, 0, workers=1)


def test_shards_without_labels_or_sound_say_which_flag_gives_them(tmp_path: Path) -> None:
    bare = [clip(number, None, None) for number in range(4)]
    with pytest.raises(InputError, match=r"of 0 classes.*4 clips without a label.*--meta"):
        find_solos(write_shards(tmp_path / "bare", bare))
    mute = [clip(number, label, None) for number, label in enumerate(INSTRUMENTS)]
    with pytest.raises(InputError, match="--audio context"):
        find_solos(write_shards(tmp_path / "mute", mute))
    with pytest.raises(InputError, match="two gains above 0"):
        write_collages(tmp_path / "mute", tmp_path / "made", 1, 0, workers=1, mixing=Mixing((1.5, 0.5)))
