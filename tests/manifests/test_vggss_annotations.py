"""The VGG-SS reader on the released file and on broken ones."""

import gzip
import json
from collections import Counter

import pytest
from places import METADATA

from manifests.errors import InputError
from manifests.readers.vggss import read_vggss

RELEASED = METADATA / "vggss" / "vggss.json"


def write(folder, content):
    path = folder / "vggss.json"
    path.write_text(json.dumps(content))
    return path


def test_released_file():
    if not RELEASED.exists():
        pytest.skip("vggss.json is not in ../shared/data/metadata")
    test_set = read_vggss(RELEASED)
    assert len(test_set.annotations) == 5158
    assert len({annotation.label for annotation in test_set.annotations}) == 221
    counts = Counter(len(annotation.boxes) for annotation in test_set.annotations)
    assert counts == {1: 4619, 2: 385, 3: 94, 4: 37, 5: 18, 6: 3, 7: 2}
    garbage = [value for annotation in test_set.annotations for box in annotation.boxes for value in box if value < -1]
    assert (
        len({annotation.key for annotation in test_set.annotations if any(min(box) < -1 for box in annotation.boxes)})
        == 12
    )
    assert min(garbage) < -2.8e16  # kept as read


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
