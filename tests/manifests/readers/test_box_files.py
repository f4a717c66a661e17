"""AVSBench, IS3 and VPO: a box a frame, of the files as they are released; AVSBench's masks."""

import gzip
import json

import numpy as np
import pytest

from manifests.errors import InputError
from manifests.masks import load_mask
from manifests.pixels import SIZE
from manifests.readers.avsbench import read_avsbench_boxes, read_avsbench_masks
from manifests.readers.is3 import read_is3, read_vpo

FRAMES = {  # all, and those in which nothing visible sounds
    "made": {"s4": (20, 2), "ms3": (15, 4), "ss": (8, 0), "ms": (9, 2), "is3": (20, 0)},
    "released": {"s4": (3700, 6), "ms3": (320, 29), "ss": (890, 0), "ms": (2157, 2), "is3": (6480, 0)},
}
CATEGORIES = {"made": {"s4": 3, "ms3": 1}, "released": {"s4": 23, "ms3": 1}}  # of MS3 none is given
NOTHING = [0.0, 0.0, 0.0, 0.0]


def assert_boxes_of_file(path, test_set, frames_and_empty):
    """Every frame of a box file, with its box to the pixel."""
    entries = json.loads(gzip.decompress(path.read_bytes()))
    boxes = [annotation.boxes for annotation in test_set.annotations]
    assert (len(boxes), boxes.count(())) == frames_and_empty
    for found, entry in zip(boxes, entries, strict=True):
        pixels = [[int(224 * value) for value in box] for box in found]
        assert pixels == ([] if entry["gt_box"] == NOTHING else [[int(value) for value in entry["gt_box"]]])


@pytest.mark.parametrize("subset", ["s4", "ms3"])
def test_avsbench_boxes(lists, source, subset):
    path = lists / "avsbench" / f"{subset}_box.json.gz"
    test_set = read_avsbench_boxes(path, subset)
    assert_boxes_of_file(path, test_set, FRAMES[source][subset])
    assert len(set(test_set.labels.values())) == CATEGORIES[source][subset]
    image = json.loads(gzip.decompress(path.read_bytes()))[1]["image"]
    parts = image.removesuffix(".png").replace(".mp4_", "_").split("/")
    assert test_set.annotations[1].key == "/".join(parts[-3 if subset == "s4" else -2 :])
    assert test_set.annotations[1].key.endswith("_2")


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
    np.testing.assert_array_equal(load_mask(found.masks["dog/clip/clip_1"], SIZE), mask.astype(bool))
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
        load_mask(path.parent / "clip_11.png", SIZE)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize(("subset", "above"), [("s4", "dog/"), ("ms3", "")])
def test_masks_stand_in_the_order_of_the_released_table(tmp_path, subset, above, beside):
    root = tmp_path / f"{subset}_data"
    for video in ("a", "b", "c", "late"):
        for number in (1, 2):
            path = root / "gt_masks" / "test" / above / video / f"{video}_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(video.encode())
    by_folder = read_avsbench_masks(root, subset)
    table = (tmp_path if beside else root) / f"{subset}_meta_data.csv"
    table.write_text("name,start_time,category,split\nc,0,dog,test\na,0,dog,test\nlate,0,dog,train\nb,0,dog,test\n")
    listed = read_avsbench_masks(root, subset)
    assert [key.split("/")[-1] for key in listed.masks] == [
        f"{video}_{number}" for video in ("c", "a", "b", "late") for number in (1, 2)
    ]
    assert (dict(by_folder.masks), by_folder.sha256) == (listed.masks, listed.sha256)
    table.write_text("name,category\na,dog\n")
    with pytest.raises(InputError, match="no column split"):
        read_avsbench_masks(root, subset)


def test_is3(lists, source):
    path = lists / "is3" / "synthetic3240_bbox.json.gz"
    test_set = read_is3(path)
    assert_boxes_of_file(path, test_set, FRAMES[source]["is3"])
    assert all(key.endswith(f"_{label}") for key, label in test_set.labels.items())


def test_an_entry_of_is3_may_say_its_category(tmp_path):
    path = tmp_path / "IS3_annotation.json"
    own = {"image": "images/dog_baby_7_babylaughter.jpg", "audio": "a.wav", "gt_box": [0, 0, 112, 224]}
    other = {"image": "images/dog_baby_7_dog.jpg", "audio": "b.wav", "gt_box": [112, 0, 224, 224]}
    path.write_text(json.dumps([own | {"category": " baby "}, other]))
    assert read_is3(path).labels == {"dog_baby_7_babylaughter": "baby", "dog_baby_7_dog": "dog"}
    for wrong in (3, "", None):
        path.write_text(json.dumps([own | {"category": wrong}]))
        with pytest.raises(InputError, match='has the "category"'):
            read_is3(path)


@pytest.mark.parametrize("subset", ["ss", "ms"])
def test_vpo(lists, source, subset):
    path = lists / "kaist" / f"vpo_{subset}_bbox.json.gz"
    test_set = read_vpo(path)
    assert_boxes_of_file(path, test_set, FRAMES[source][subset])
    assert set(test_set.labels.values()) == {None}


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
