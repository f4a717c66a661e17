"""AVSBench-semantic, prompts of ADE20K, masks of IS3 and VPO: read as released, and refused in words."""

import json
from pathlib import Path

import numpy as np
import pytest
from class_frames import write_avss, write_grey_masks, write_image, write_prompts, write_rows
from PIL import Image

from manifests.class_maps import avss_colours, load_classes
from manifests.errors import InputError
from manifests.masks import load_grey_mask, load_mask
from manifests.pixels import SIZE
from manifests.truth import read_truth

FRAMES = np.arange(71 * 4).reshape(71, 2, 2) % 71


@pytest.fixture
def avss(tmp_path: Path) -> Path:
    return write_avss(tmp_path, {("v2", "a.b"): FRAMES[:10], ("v1m", "c"): FRAMES[20:25]})


def test_colours_of_classes_are_pascal_s_bits() -> None:
    colours = avss_colours().tolist()
    assert colours[:3] == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    assert colours[8] == [64, 0, 0]
    assert colours[70] == [32, 128, 128]  # bits 1, 2 and 6: green and blue first, red third
    assert len({tuple(each) for each in colours}) == 71


def test_avss_frames_in_video_order(avss: Path) -> None:
    truth = read_truth(avss, "avss")
    assert truth.keys[:2] == ("v2/a%2Eb_1", "v2/a%2Eb_2")
    assert truth.keys[-1] == "v1m/c_5"
    assert len(truth.keys) == 15
    assert truth.classes is not None
    assert truth.masks is not None
    assert truth.masks.masks == truth.classes.files
    for number, file in enumerate(list(truth.classes.files.values())[:10]):
        np.testing.assert_array_equal(load_classes(file, truth.classes.coding), FRAMES[number])
    np.testing.assert_array_equal(load_classes(truth.classes.files["v2/a%2Eb_3"], "avss", (4, 6)).shape, (4, 6))
    half = load_classes(truth.classes.files["v2/a%2Eb_1"], "avss", (2, 2), (0.5, 0, 1, 1))
    np.testing.assert_array_equal(half, FRAMES[0][:, [1, 1]])


def test_avss_that_is_not_whole_is_refused(avss: Path) -> None:
    file = avss / "v2" / "a.b" / "labels_rgb" / "0.png"
    write_image(file, np.full((2, 2, 3), 7, np.uint8))
    with pytest.raises(InputError, match=r"colour \(7, 7, 7\), which is none of the 71"):
        load_classes(file, "avss")
    file.write_text("not an image")
    with pytest.raises(InputError, match="cannot be read"):
        load_classes(file, "avss")
    file.unlink()
    with pytest.raises(InputError, match=r"0\.png"):
        read_truth(avss, "avss")
    for rows, message in (
        ([["uid", "split"], ["a", "test"]], "lacks the columns"),
        ([["uid", "label", "split"], ["a", "v3", "test"]], "Parts are v1s, v1m, v2"),
        ([["uid", "label", "split"], ["../a", "v2", "test"]], "name of a folder"),
        ([["uid", "label", "split"], ["a", "v2", "train"]], "no video in the split test"),
        ([["uid", "label", "split"], ["c", "v1m", "test"], ["c", "v1m", "test"]], "a video twice"),
        ([["uid", "label", "split"], ["c", "v1m"]], "2 of 3 fields"),
    ):
        write_rows(avss / "metadata.csv", rows)
        with pytest.raises(InputError, match=message):
            read_truth(avss, "avss")


def test_prompts_by_sound_and_by_speech(tmp_path: Path) -> None:
    labels = np.array([[[300, 7], [7, 0]], [[1, 2], [3, 4]]])
    folder = write_prompts(tmp_path, labels, [300, 3])
    truth = read_truth(folder, "ade20k_sound")
    assert truth.keys == ("validation%2FADE_000_300", "validation%2FADE_001_3")
    assert truth.classes is not None
    np.testing.assert_array_equal(load_classes(truth.classes.files[truth.keys[0]], "ade20k"), labels[0])
    assert truth.classes.prompts == {truth.keys[0]: 300, truth.keys[1]: 3}
    assert truth.protocols == ("denseav",)
    with pytest.raises(InputError, match="other_seg"):  # the row by speech has no annotation here
        read_truth(folder, "ade20k_speech")
    (folder / "prompted_segmentation.csv").write_text("image_location,ade_class_id\nx.jpg,3\n")
    with pytest.raises(InputError, match="lacks the columns"):
        read_truth(folder, "ade20k_sound")


def test_masks_stored_as_jpg_are_cut_in_the_middle(tmp_path: Path) -> None:
    mask = np.zeros((224, 224), np.uint8)
    mask[50:120, 30:200] = 255
    names = ["kettle_fox_1_kettle", "kettle_fox_1_fox"]
    folder = write_grey_masks(tmp_path / "is3", dict.fromkeys(names, mask), ".jpg")
    truth = read_truth(folder, "is3")
    assert set(truth.keys) == set(names)
    assert set(truth.test_set.labels.values()) == {"kettle", "fox"}
    assert truth.masks is not None
    file = truth.masks.masks[names[0]]
    assert (load_grey_mask(file, 128, SIZE) != (mask > 0)).mean() < 0.001
    np.testing.assert_array_equal(load_grey_mask(file, 128, SIZE, (0, 0, 0.5, 1))[:, ::2][:, :50], mask[:, :50] >= 128)


def test_grey_masks_of_more_than_8_bits_or_with_transparency_are_refused(tmp_path: Path) -> None:
    shades = np.zeros((224, 224), np.uint16)
    shades[:100], shades[100:150] = 40_000, 300
    Image.fromarray(shades).save(tmp_path / "deep.png")
    clear = Image.new("RGBA", (224, 224), (255, 255, 255, 0))
    clear.paste((255, 255, 255, 255), (0, 0, 50, 50))
    clear.save(tmp_path / "clear.png")
    for name, message in (("deep", "more than 8 bits"), ("clear", "some of it is transparent")):
        with pytest.raises(InputError, match=message):
            load_grey_mask(tmp_path / f"{name}.png", 128, SIZE)
    Image.new("RGBA", (224, 224), "white").save(tmp_path / "opaque.png")
    assert load_grey_mask(tmp_path / "opaque.png", 128, SIZE).all()


def test_a_list_of_masks_finds_them_beside_it(tmp_path: Path) -> None:
    names = ["000000000007_1", "000000000007_2"]
    write_grey_masks(tmp_path, {name: np.full((4, 4), 255) for name in names})
    listed = tmp_path / "vpo_ms_seg.json"
    entries = [{"image": f"/far/{name}.jpg", "gt_box": f"/far/away/gt_masks/{name}.png"} for name in reversed(names)]
    listed.write_text(json.dumps(entries))
    assert read_truth(listed, "vpo").keys == tuple(reversed(names))
    for content, message in (
        ([*entries, entries[0]], "two files of"),
        ([{"image": "x.jpg", "gt_box": "gt_masks/absent.png"}], "does not lie beside it"),
        ([{"image": "x.jpg", "gt_box": "../../etc/passwd"}], "does not lie beside it"),
        ([{"image": "x.jpg", "gt_box": [0, 0, 1, 1]}], "names no clip"),
        ([], "not a list of frames"),
    ):
        listed.write_text(json.dumps(content))
        with pytest.raises(InputError, match=message):
            read_truth(listed, "vpo")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no mask"):
        read_truth(empty, "is3")


def test_s4_masks_by_their_list(tmp_path: Path) -> None:
    key = "helmet/abc/abc_1"
    write_image(tmp_path / "s4_data" / "gt_masks" / "test" / f"{key}.png", np.ones((4, 4), np.uint8))
    listed = tmp_path / "s4_seg.json"
    listed.write_text(json.dumps([{"image": f"/m/{key}.png", "gt_box": f"/m/s4_data/gt_masks/test/{key}.png"}]))
    truth = read_truth(listed, "avsbench_s4")
    assert truth.keys == (key,)
    assert truth.test_set.labels == {key: "helmet"}
    assert truth.masks is not None
    assert load_mask(truth.masks.masks[key], SIZE).all()  # what is drawn is the object, however dark


@pytest.mark.parametrize("kind", ["avss", "ade20k_sound", "is3"])
def test_damaged_lists_are_refused_in_words(kind: str, tmp_path: Path) -> None:
    """Whatever bytes stand in a list, there is a sentence."""
    random = np.random.default_rng(0)
    file = tmp_path / {"avss": "metadata.csv", "ade20k_sound": "prompted_segmentation.csv", "is3": "x_seg.json"}[kind]
    starts = {"avss": b"uid,label,split\n", "ade20k_sound": b"image_location,ade_class_id,vggsound_file\n", "is3": b"["}
    for _ in range(40):
        file.write_bytes(starts[kind] + random.integers(0, 256, 60, np.uint8).tobytes())
        with pytest.raises(InputError):
            read_truth(file if kind == "is3" else tmp_path, kind)
