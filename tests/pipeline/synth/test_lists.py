"""Lists and truth of the drawn corpus, as the readers of real data sets read them."""

import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from synth_seed import CLIPS, SEED

from manifests.readers.label_lists import read_labels
from manifests.readers.vggss import read_vggss
from pipeline.synth import lists
from pipeline.synth.scene import draw_scene


def test_lists_are_read_by_the_readers_of_the_real_data_sets(corpus: Path) -> None:
    scenes = [draw_scene(SEED, index) for index in range(CLIPS)]
    rows = read_labels(corpus / "vggsound.csv").rows
    assert {key: (row.label, row.split) for key, row in rows.items()} == {
        scene.key: (scene.label, scene.split) for scene in scenes
    }
    positives = read_vggss(corpus / "vggss.json")
    assert set(positives.keys) <= {scene.key for scene in scenes if scene.split == "test"}
    assert {path.stem for path in (corpus / "video").iterdir()} == set(rows)


def test_truth_table_agrees_with_vggss(corpus: Path) -> None:
    truth = pq.read_table(corpus / "truth.parquet").to_pylist()
    for entry in json.loads((corpus / "vggss.json").read_text()):
        boxes = [
            [row["x1"], row["y1"], row["x2"], row["y2"]]
            for row in truth
            if row["key"] == entry["file"] and row["sounding"] and row["on_screen"]
        ]
        assert entry["bbox"] == boxes
        assert all(0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 for x1, y1, x2, y2 in boxes)


def test_extended_csv_is_spelled_like_the_released_one(corpus: Path) -> None:
    content = (corpus / "vggss_test_plus_silent.csv").read_bytes()
    assert content.startswith(b"video,audio,label\r\n")
    assert not content.endswith(b"\n")
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert all(row["label"] == "non-sounding" for row in csv.DictReader(content.decode().splitlines()))


def test_labels_with_a_comma_are_quoted() -> None:
    clip = lists.Clip("a_000001", "a", 1, "train", "bee, wasp buzzing", (), frozenset(), frozenset())
    assert lists.vggsound_csv([clip]) == 'a,1,"bee, wasp buzzing",train\n'


def test_negatives_are_negative_and_in_proportion(test_clips: list[lists.Clip]) -> None:
    clips = {clip.key: clip for clip in test_clips}
    pairs = lists.negatives(test_clips, SEED)
    positives = sum(clip.positive for clip in test_clips)
    assert sum(map(len, pairs.values())) == positives
    assert len(pairs["real"]) / positives == pytest.approx(379 / 5158, abs=0.01)
    assert len(pairs["hard"]) / positives == pytest.approx(1185 / 5158, abs=0.01)
    assert all(video == audio and not clips[video].positive for video, audio in pairs["real"])
    for video, audio in pairs["hard"]:
        assert clips[video].label == clips[audio].label
        assert clips[video].source_id != clips[audio].source_id
    assert not any(clips[audio].heard & clips[video].seen for video, audio in pairs["easy"])
    images = Counter(video for rows in pairs.values() for video, _ in rows)
    assert set(images.values()) == {1}
