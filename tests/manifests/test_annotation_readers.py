"""Flickr XML, Extended csv, AVSBench, IS3, MUSIC, AVE and the project's own table: released files and broken ones."""

import gzip
import json
from collections import Counter

import numpy as np
import pytest
from places import SHARED

from manifests.annotations import Annotation, TestSet, corners
from manifests.errors import InputError
from manifests.masks import load_mask
from manifests.readers.annotation_table import read_table, write_table
from manifests.readers.ave import read_ave
from manifests.readers.avsbench import read_avsbench_boxes, read_avsbench_masks
from manifests.readers.extended import pair_key, read_extended
from manifests.readers.flickr import read_flickr
from manifests.readers.is3 import read_is3, read_vpo
from manifests.readers.music import read_music, read_music_synthetic
from manifests.readers.vggss import read_vggss


@pytest.fixture
def released():
    def find(name):
        if not (SHARED / name).exists():
            pytest.skip(f"{name} is not in ../shared")
        return SHARED / name

    return find


# ---- Flickr-SoundNet


def test_flickr_scenes(released, tmp_path):
    scene = json.loads(released("golden/golden_scene.json").read_text())
    for name, text in zip(scene["names"], scene["flickr_xml"], strict=True):
        (tmp_path / f"{name}.xml").write_text(text)
    test_set = read_flickr(tmp_path, scene["names"])
    assert test_set.keys == tuple(scene["names"])
    for annotation, opinions in zip(test_set.annotations, scene["flickr_boxes_256"], strict=True):
        boxes = [box for annotator in opinions for box in annotator]
        assert [[round(256 * value) for value in box] for box in annotation.boxes] == boxes
        assert annotation.consensus == 2
    assert read_flickr(tmp_path).sha256 != read_flickr(tmp_path, scene["names"][:3]).sha256


def test_flickr_nodes_that_are_no_box_are_ignored(tmp_path):
    (tmp_path / "123.xml").write_text(
        "<a><annotator><name>x</name><bbox><id>1</id><x>0</x><y>64</y><x>128</x><y>256</y></bbox></annotator></a>"
    )
    assert read_flickr(tmp_path).annotations == (Annotation("123", None, ((0.0, 0.25, 0.5, 1.0),), 2),)


def test_flickr_errors(tmp_path):
    with pytest.raises(InputError, match="holds no annotation"):
        read_flickr(tmp_path)
    (tmp_path / "1.xml").write_text("<a><b><bbox><i>1</i><x>0</x><x>1.5</x><x>3</x><x>4</x></bbox></b></a>")
    with pytest.raises(InputError, match="four integers"):
        read_flickr(tmp_path)
    (tmp_path / "1.xml").write_text("<a><b><bbox><i>1</i><x>0</x></bbox></b></a>")
    with pytest.raises(InputError, match="four integers"):
        read_flickr(tmp_path)
    (tmp_path / "1.xml").write_text("<a>")
    with pytest.raises(InputError, match="not valid XML"):
        read_flickr(tmp_path)
    with pytest.raises(InputError, match=r"lacks the annotation of 2 of 3 listed images: 2, 3"):
        read_flickr(tmp_path, ["1", "2", "3"])


# ---- Extended sets


def test_extended_vggss(released):
    positives = read_vggss(released("data/metadata/vggss/vggss.json"))
    extended = read_extended(released("data/metadata/extended/vggss_test_plus_silent.csv"), positives)
    assert extended.kinds == {"real": 379, "hard": 1185, "easy": 3594}
    assert extended.name == "extended_vggss"
    assert len({negative.key for negative in extended.negatives}) == 5158


def test_extended_flickr_has_no_kinds(released, tmp_path):
    ids = [line.split(",")[0] for line in released("data/metadata/flickr/flickr_test_250.csv").read_text().split()]
    positives = TestSet("flickr", tuple(Annotation(each, None, ()) for each in ids), "", "")
    extended = read_extended(released("data/metadata/extended/flickr_test_plus_silent.csv"), positives)
    assert extended.kinds == {"unknown": 250}


def test_extended_pairs_and_errors(tmp_path):
    positives = TestSet(
        "p", tuple(Annotation(f"abcdefghij{i}_000001", label, ()) for i, label in enumerate("xxy")), "", ""
    )
    path = tmp_path / "silent.csv"
    path.write_bytes(
        b"video,audio,label\r\n"
        b"abcdefghij0_000001,abcdefghij1_1000_11000,non-sounding\r\n"
        b"abcdefghij1_000001,abcdefghij2_000001,non-sounding\r\n"
        b"abcdefghij9_000005,abcdefghij9_000005,non-sounding"
    )
    extended = read_extended(path, positives)
    assert [negative.kind for negative in extended.negatives] == ["hard", "easy", "real"]
    assert extended.negatives[0].key == "abcdefghij0_000001+abcdefghij1_000001"
    assert pair_key("abcdefghij0_1000_11000+abcdefghij1_1_11") == extended.negatives[0].key
    assert pair_key("dog_piano_1") == "dog_piano_1"
    for text, message in (
        ("a,b\n", "header"),
        ("video,audio,label\n", "no pair"),
        ("video,audio,label\na,b,dog\n", "line 2"),
        ("video,audio,label\na,b,non-sounding\na,b,non-sounding\n", r"a\+b twice"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_extended(path, positives)


# ---- AVSBench, IS3, VPO


@pytest.mark.parametrize(("subset", "frames", "empty"), [("s4", 3700, 6), ("ms3", 320, 29)])
def test_avsbench_boxes(released, subset, frames, empty):
    test_set = read_avsbench_boxes(released(f"data/metadata/avsbench/{subset}_box.json.gz"), subset)
    assert len(test_set.annotations) == frames
    assert sum(not annotation.boxes for annotation in test_set.annotations) == empty
    if subset == "s4":
        assert len({annotation.label for annotation in test_set.annotations}) == 23
        assert test_set.annotations[0].key == "helicopter/0d9u2CymIxc/0d9u2CymIxc_1"
        pixels = [int(224 * value) for value in test_set.annotations[0].boxes[0]]
        assert pixels == [21, 72, 196, 140]


def test_avsbench_masks(tmp_path):
    from PIL import Image

    mask = np.zeros((224, 224), np.uint8)
    mask[:10] = 1  # palette index 1, as MS3 masks have it: not zero is foreground
    for number in (1, 2, 10):
        path = tmp_path / "gt_masks" / "test" / "dog" / "clip" / f"clip_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask * number).save(path)
    found = read_avsbench_masks(tmp_path, "s4")
    assert list(found.masks) == ["dog/clip/clip_1", "dog/clip/clip_2", "dog/clip/clip_10"]
    np.testing.assert_array_equal(load_mask(found.masks["dog/clip/clip_1"]), mask.astype(bool))
    assert load_mask(found.masks["dog/clip/clip_2"], 112).sum() == 5 * 112
    ms3 = read_avsbench_masks(tmp_path, "ms3")
    assert next(iter(ms3.masks)) == "clip/clip_1"
    assert ms3.sha256 != found.sha256
    with pytest.raises(InputError, match="no mask"):
        read_avsbench_masks(tmp_path, "s4", "val")
    with pytest.raises(InputError, match="no AVSBench subset 'v2'"):
        read_avsbench_masks(tmp_path, "v2")
    (path.parent / "clip_11.png").write_text("not an image")
    with pytest.raises(InputError, match="cannot be read"):
        load_mask(path.parent / "clip_11.png")


def test_is3(released):
    test_set = read_is3(released("data/metadata/is3/synthetic3240_bbox.json.gz"))
    assert len(test_set.annotations) == 6480
    first = test_set.annotations[0]
    assert (first.key, first.label) == ("accordion_female_10438_accordion", "accordion")
    source = json.loads(gzip.decompress(released("data/metadata/is3/synthetic3240_bbox.json.gz").read_bytes()))
    for annotation, entry in zip(test_set.annotations, source, strict=True):
        assert [int(224 * value) for value in annotation.boxes[0]] == [int(value) for value in entry["gt_box"]]


@pytest.mark.parametrize(("subset", "frames", "empty"), [("ss", 890, 0), ("ms", 2157, 2)])
def test_vpo(released, subset, frames, empty):
    test_set = read_vpo(released(f"data/metadata/kaist/vpo_{subset}_bbox.json.gz"))
    assert len(test_set.annotations) == frames
    assert sum(not annotation.boxes for annotation in test_set.annotations) == empty


def test_box_file_errors(tmp_path):
    path = tmp_path / "box.json"
    for content, message in (
        ("{}", "not a list"),
        ('[{"audio": "x"}]', 'without "image"'),
        ("[]", "no annotated clip"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            read_is3(path)


# ---- MUSIC, AVE


@pytest.mark.parametrize(("name", "frames", "without"), [("solo", 13_472, 1116), ("duet", 11_512, 1228)])
def test_music(released, name, frames, without):
    music = read_music(released(f"data/metadata/music/{name}test.json.gz"), f"music_{name}")
    assert len(music.frames) == frames
    assert frames - len(music.scorable) == without
    test_set = music.test_set()
    assert len(test_set.annotations) == frames - without
    if name == "duet":
        boxes = Counter(len(annotation.boxes) for annotation in test_set.annotations)
        assert (boxes[1], boxes[2]) == (5533, 4751)
    else:
        first = music.frames[0]
        assert list(first.boxes) == ["cello"]
        assert first.boxes["cello"][0][:2] == (0.35, 0.0)


def test_corner_and_size_truncate_as_released(released):
    frames = json.loads(gzip.decompress(released("data/metadata/music/duettest.json.gz").read_bytes()))
    for frame in list(frames.values())[:3000]:
        for box in frame["bbox"]:
            x, y, width, height = box["normbox"]
            coded = [int(224 * x), int(224 * y), int(224 * x + 224 * width), int(224 * y + 224 * height)]
            assert [int(224 * value) for value in corners(x, y, width, height)] == coded


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


def test_ave(released, tmp_path):
    events = read_ave(released("data/metadata/ave/Annotations.txt"))
    assert len(events) == 4143
    assert len({event.video for event in events}) == 4097
    assert len({event.category for event in events}) == 28
    assert (events[26].start, events[26].end) == (0, 0)
    path = tmp_path / "a.txt"
    path.write_text("Category&VideoID&Quality&StartTime&EndTime\nDog&abcdefghij0&good&1&5\n")
    assert [event.category for event in read_ave(path)] == ["Dog"]
    path.write_text("Dog&abcdefghij0&good&1&5\nDog&abc\n")
    with pytest.raises(InputError, match="line 2"):
        read_ave(path)
    path.write_text("nothing")
    with pytest.raises(InputError, match="no event"):
        read_ave(path)


# ---- the project's own table


def test_table_keeps_everything(tmp_path):
    boxes = ((0.1, 0.2, -2.88e16, 0.9), (0.0, 0.0, 1.0, 1.0))
    test_set = TestSet("mine", (Annotation("a", "dog", boxes), Annotation("b", None, (), 2)), "", "")
    write_table(test_set, tmp_path / "mine.parquet")
    read = read_table(tmp_path / "mine.parquet")
    assert read.annotations == test_set.annotations
    assert read.name == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.parquet"]


def test_table_errors(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="not a parquet file"):
        read_table(tmp_path / "text.parquet")
    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "less.parquet")
    with pytest.raises(InputError, match="lacks the columns boxes, label"):
        read_table(tmp_path / "less.parquet")
    pq.write_table(pa.table({"key": ["a"], "label": ["x"], "boxes": [[[0.1, 0.2]]]}), tmp_path / "box.parquet")
    with pytest.raises(InputError, match="four finite numbers"):
        read_table(tmp_path / "box.parquet")
