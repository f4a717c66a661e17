"""Scoring with negative pairs, and the archive of maps that any other program may write."""

import json

import numpy as np
import pytest
from scored_files import maps_in

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.readers.extended import ExtendedSet, Negative
from manifests.test_sets import Truth
from training.evaluation import detection
from training.evaluation.detection import Detections
from training.evaluation.printing import table
from training.evaluation.protocols import known_protocols
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks.localization import score

PROTOCOLS = known_protocols("localization")

KEYS = [f"clip_number{index}_00000{index}"[-18:] for index in range(6)]
CLIPS = TestSet("tiny", tuple(Annotation(key, "dog", ((0.0, 0.0, 0.7, 1.0),)) for key in KEYS), "tiny.json", "1" * 64)
PAIRS = (
    Negative(KEYS[0], KEYS[0], "real"),
    Negative(KEYS[1], KEYS[2], "hard"),
    Negative(KEYS[2], KEYS[3], "hard"),
    Negative(KEYS[3], KEYS[4], "easy"),
)
EXTENDED = Truth("extended", CLIPS, ExtendedSet("extended_tiny", CLIPS, PAIRS, "silent.csv", "2" * 64))
TRUTH = Truth("vggss", CLIPS)
NAMES = [*KEYS, *(pair.key for pair in PAIRS[:3])]


@pytest.fixture
def maps():
    return np.random.default_rng(5).normal(size=(len(NAMES), 7, 7)).astype(np.float32)


def test_negatives_bring_ap_and_max_f1(maps):
    objects = np.abs(maps) + 0.1
    result = score(RawMaps(NAMES, maps, objects), EXTENDED, PROTOCOLS["slavc_relative"])
    summary = result.summary
    assert summary["test_set"] == "extended_tiny"
    assert summary["negatives"] == {
        "n_expected": 4,
        "n_scored": 3,
        "missing": [PAIRS[3].key],
        "kinds": {"real": 1, "hard": 2, "easy": 1},
    }
    assert summary["lists"]["negatives"]["sha256"] == "2" * 64
    assert summary["n_maps_of_other_clips"] == 0
    rows = result.table.to_pylist()
    for name, found in summary["extended"].items():
        mine = [row for row in rows if row["map"] == name]
        positive = np.array(["negative" not in row["flags"] for row in mine])
        detections = Detections(
            np.array([row["iou"] for row in mine]), np.array([row["confidence"] for row in mine]), positive
        )
        assert (found["n_positive"], found["n_negative"]) == (6, 3)
        assert found["ap"]["coded"] == detection.coded_average_precision(detections)
        assert found["max_f1"]["textbook"] == detection.textbook_max_f1(detections)
        assert found["locacc"] == summary["scores"][name]["ciou50"]
        assert set(found["by_negative_type"]) == {"real", "hard"}
    assert set(summary["extended"]) == {"audio_visual", "object_prior", "combined"}
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_avgn_s_line_says_against_how_many_negatives(maps):
    found = score(RawMaps(NAMES, maps), EXTENDED, PROTOCOLS["avgn_relative"]).summary
    assert " of clips, AP and F1 against 3 negatives: " in table(found)
    assert " of clips: " in table(score(RawMaps(NAMES, maps), TRUTH, PROTOCOLS["avgn_relative"]).summary)


def test_positives_score_the_same_with_and_without_negatives(maps):
    alone = score(RawMaps(KEYS, maps[:6]), TRUTH, PROTOCOLS["ezvsl"]).summary
    extended = score(RawMaps(NAMES, maps), EXTENDED, PROTOCOLS["ezvsl"]).summary
    for part in ("scores", "floors", "ceiling", "breakdown", "n_scored", "tie_share"):
        assert alone[part] == extended[part]


def test_pair_names_in_any_spelling(maps):
    names = [
        *KEYS,
        *(f"{pair.video[:11]}_{pair.video[-1]}000_{int(pair.video[-1]) + 10}000+{pair.audio}" for pair in PAIRS[:3]),
    ]
    expected = score(RawMaps(NAMES, maps), EXTENDED, PROTOCOLS["ezvsl"])
    assert score(RawMaps(names, maps), EXTENDED, PROTOCOLS["ezvsl"]).table.equals(expected.table)


def test_maps_of_negatives_alone_are_refused(maps):
    with pytest.raises(InputError, match="None of the 3 maps belongs to a clip of tiny"):
        score(RawMaps(NAMES[6:], maps[6:]), EXTENDED, PROTOCOLS["ezvsl"])


def test_negatives_without_a_map_of_any_are_refused(maps):
    with pytest.raises(InputError, match=r"None of the 6 maps belongs to a negative pair.*<video>\+<audio>"):
        score(RawMaps(KEYS, maps[:6]), EXTENDED, PROTOCOLS["ezvsl"])


def test_archive_of_maps(tmp_path, maps):
    path = tmp_path / "maps.npz"
    np.savez(path, names=np.array(NAMES), maps=maps, confidence=np.arange(len(NAMES), dtype=float))
    raw = maps_in(path, alpha=0.6)
    assert list(raw.names) == NAMES
    assert raw.object_maps is None
    assert raw.alpha == 0.6
    np.testing.assert_array_equal(raw.maps, maps)
    np.testing.assert_array_equal(raw.confidence, np.arange(len(NAMES)))


def test_broken_archives_are_explained(tmp_path, maps):
    with pytest.raises(InputError, match="cannot be read"):
        maps_in(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(InputError, match="cannot be read"):
        maps_in(tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", names=np.array(["a", None], dtype=object), maps=maps[:2])
    with pytest.raises(InputError, match="cannot be read"):
        maps_in(tmp_path / "objects.npz")
    np.savez(tmp_path / "less.npz", maps=maps)
    with pytest.raises(InputError, match="needs the arrays names and maps"):
        maps_in(tmp_path / "less.npz")
    np.save(tmp_path / "one.npy", maps)
    with pytest.raises(InputError, match="cannot be read"):
        maps_in(tmp_path / "one.npy")
