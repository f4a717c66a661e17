"""The VGG-SS reader on our miniature, on the released file and on broken ones."""

import gzip
import json
from collections import Counter

import pytest

from manifests.errors import InputError
from manifests.readers.vggss import read_vggss

CLASSES = {"made": 12, "released": 221}
CLIPS_OF_BOXES = {  # how many clips have so many boxes; and how many have a corner that nobody set
    "made": ({1: 38, 2: 7, 3: 2, 4: 1}, 2),
    "released": ({1: 4619, 2: 385, 3: 94, 4: 37, 5: 18, 6: 3, 7: 2}, 12),
}


def write(folder, content):
    path = folder / "vggss.json"
    path.write_text(json.dumps(content))
    return path


def test_the_file_as_released(lists, source):
    test_set = read_vggss(lists / "vggss" / "vggss.json")
    counts, unset = CLIPS_OF_BOXES[source]
    assert len(set(test_set.labels.values())) == CLASSES[source]
    assert Counter(len(annotation.boxes) for annotation in test_set.annotations) == counts
    lowest = [min(min(box) for box in annotation.boxes) for annotation in test_set.annotations]
    assert sum(value < -1 for value in lowest) == unset
    assert min(lowest) < -2.4e16  # kept as read


def test_keys_are_canonical_and_gzip_has_the_same_hash(tmp_path):
    entries = [{"file": "AbCdEfGh_-1_30000_40000", "class": "elk bugling", "bbox": [[0, 0.25, 1, 0.75]]}]
    plain = read_vggss(write(tmp_path, entries), "mine")
    (annotation,) = plain.annotations
    assert (annotation.key, annotation.label) == ("AbCdEfGh_-1_000030", "elk bugling")
    assert annotation.boxes == ((0.0, 0.25, 1.0, 0.75),)
    packed = tmp_path / "vggss.json.gz"
    packed.write_bytes(gzip.compress((tmp_path / "vggss.json").read_bytes()))
    assert read_vggss(packed).sha256 == plain.sha256
    assert plain.name == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"file": "x"}, "not a list"),
        ([], "no annotated clip"),
        ([{"file": "AbCdEfGh_-1_000030"}], 'entry 0, lacks "file" or "bbox"'),
        ([{"file": "AbCdEfGh_-1_000030", "bbox": [[0, 0, 1]]}], r"has the box \[0, 0, 1\]"),
        ([{"file": "AbCdEfGh_-1_000030", "bbox": [[0, 0, 1, "1"]]}], "four finite numbers"),
        ([{"file": "AbCdEfGh_-1_000030", "bbox": [[0, 0, 1, float("nan")]]}], "four finite numbers"),
        ([{"file": "AbCdEfGh_-1_000030", "bbox": []}, {"file": "AbCdEfGh_-1_30_40", "bbox": []}], "twice"),
    ],
)
def test_broken_files_are_explained(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_vggss(write(tmp_path, content))


def test_unreadable_files_are_explained(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_vggss(tmp_path / "absent.json")
    cut = tmp_path / "cut.json.gz"
    cut.write_bytes(gzip.compress(b"[]" * 100)[:-10])
    with pytest.raises(InputError, match="cannot be read"):
        read_vggss(cut)
    (tmp_path / "no.json").write_text("[")
    with pytest.raises(InputError, match="not valid JSON"):
        read_vggss(tmp_path / "no.json")
