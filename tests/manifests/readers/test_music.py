"""MUSIC's boxes by instrument: solo, duet, synthetic, broken files."""

import gzip
import json
from collections import Counter

import numpy as np
import pytest

from manifests.annotations import Annotation, corners
from manifests.errors import InputError
from manifests.readers.music import read_music, read_music_synthetic

MUSIC = {  # frames, those without a box, those with one and with two
    "made": {"solo": (12, 2, 10, 0), "duet": (12, 1, 5, 6)},
    "released": {"solo": (13_472, 1116, 12_356, 0), "duet": (11_512, 1228, 5533, 4751)},
}


@pytest.mark.parametrize("name", ["solo", "duet"])
def test_music(lists, source, name):
    music = read_music(lists / "music" / f"{name}test.json.gz", f"music_{name}")
    every, without, one, two = MUSIC[source][name]
    assert (len(music.frames), len(music.scorable)) == (every, every - without)
    test_set = music.test_set()
    boxes = Counter(len(annotation.boxes) for annotation in test_set.annotations)
    assert (len(test_set.annotations), boxes[1], boxes[2]) == (every - without, one, two)
    first = music.frames[0]
    (written,) = json.loads(gzip.decompress((lists / "music" / f"{name}test.json.gz").read_bytes()))[first.key]["bbox"][
        :1
    ]
    assert "cello" in first.boxes
    assert first.boxes["cello"][0][:2] == tuple(written["normbox"][:2])


def test_corner_and_size_truncate_as_released(lists):
    frames = json.loads(gzip.decompress((lists / "music" / "duettest.json.gz").read_bytes()))
    for frame in list(frames.values())[:3000]:
        for box in frame["bbox"]:
            x, y, width, height = box["normbox"]
            coded = [int(224 * x), int(224 * y), int(224 * x + 224 * width), int(224 * y + 224 * height)]
            assert [int(224 * value) for value in corners(x, y, width, height, 224)] == coded


def test_music_synthetic(tmp_path):
    np.save(tmp_path / "10.npy", np.array([[0.5, 0.5, 0.25, 0.25, 1.0]]))
    np.save(tmp_path / "9.npy", np.array([[0, 0, 0.5, 0.5, 13.0], [0.5, 0, 0.5, 0.5, 13.0]]))
    music = read_music_synthetic(tmp_path)
    assert [frame.key for frame in music.frames] == ["9", "10"]
    assert music.frames[0].boxes == {"accordion": ((0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5))}
    assert music.test_set().annotations[1] == Annotation("10", "cello", ((0.5, 0.5, 0.75, 0.75),))
    np.save(tmp_path / "11.npy", np.array([[0.5, 0.5, 0.25, 0.25, 99.0]]))
    with pytest.raises(InputError, match="99"):
        read_music_synthetic(tmp_path)
    np.save(tmp_path / "11.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="not a plain array"):
        read_music_synthetic(tmp_path)
    with pytest.raises(InputError, match="no box file"):
        read_music_synthetic(tmp_path / "absent")


def test_music_errors(tmp_path):
    path = tmp_path / "solo.json"
    for content, message in (
        ("[]", "not an object"),
        ('{"a": {}}', "lacks"),
        ('{"a": {"bbox": [{"normbox": []}]}}', "lacks"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            read_music(path, "solo")
